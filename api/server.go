// Package api is the HTTP side of Patchbay: it keeps connectors and asks
// workers to run them, in the dialect of Kibana 8.19's Actions & Connectors.
package api

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/nats-io/nats.go"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/api/store"
)

// Limits on what a client may take its time with. They bound idle resources,
// not work: an execution has its own deadline.
const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = 60 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10 // bytes
	lastWords     = time.Second
)

type server struct {
	config        Config
	log           *slog.Logger
	nc            *nats.Conn
	store         *store.Store
	dispatch      *dispatch.Dispatcher
	keeper        keeper
	preconfigured map[string]*preconfigured
	loopback      bool // only this machine can connect
	bodyTimeout   time.Duration
}

// routes is the whole route table.
func (s *server) routes() *echo.Echo {
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect() // the default believes any X-Forwarded-For
	e.HTTPErrorHandler = s.handleError
	e.Use(s.recoverPanic, s.limitRead, identify, markExecution, s.refuseForeignHost, refuseCrossOrigin, checkSpace)

	e.GET("/healthz", s.health) // supervisors: the process lives
	e.GET("/readyz", s.ready)   // load balancers: store and broker can be reached

	for _, root := range []string{"", "/s/:space_id"} {
		g := e.Group(root)
		g.GET("/api/status", s.status) // clients that ask for the version first
		g.GET("/api/openapi.yaml", s.openapi)

		a := g.Group("/api/actions")
		a.POST("/connector", s.create(modern))
		a.POST("/connector/", s.create(modern)) // Terraform, when it leaves the id to us
		a.POST("/connector/:id", s.create(modern))
		a.GET("/connector/:id", s.get(modern))
		a.PUT("/connector/:id", s.update(modern))
		a.DELETE("/connector/:id", s.delete)
		a.GET("/connectors", s.list(modern))
		a.GET("/connector_types", s.types)
		a.POST("/connector/:id/_execute", s.execute(modern))

		// Deprecated in Kibana, still there in 8.19.
		a.POST("/action", s.create(legacy), warnLegacy)
		a.GET("", s.list(legacy), warnLegacy)
		a.GET("/action/:id", s.get(legacy), warnLegacy)
		a.PUT("/action/:id", s.update(legacy), warnLegacy)
		a.DELETE("/action/:id", s.delete, warnLegacy)
		a.GET("/list_action_types", s.legacyTypes, warnLegacy)
		a.POST("/action/:id/_execute", s.execute(legacy), warnLegacy)
	}
	return e
}

// Run serves the API until ctx ends, then lets requests in flight finish. nc is
// the connection to the broker; see [dispatch.New] for how to make it.
func Run(ctx context.Context, config Config, nc *nats.Conn, log *slog.Logger) (err error) {
	s := &server{config: config, log: log, nc: nc, bodyTimeout: bodyTimeout}
	s.keeper = keeper{hosts: config.Hosts, key: config.SealKey, lookup: config.LookupEnv}
	if s.preconfigured, err = s.keeper.loadPreconfigured(config.ConfigFile); err != nil {
		return err
	}
	if s.store, err = store.Open(ctx, config.DataDir, store.Options{MaxConnectors: config.MaxConnectors}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.store.Close()) }()
	if s.dispatch, err = dispatch.New(nc); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.dispatch.Close()) }()

	listener, err := net.Listen("tcp", config.Addr)
	if err != nil {
		return fmt.Errorf("PATCHBAY_HTTP_ADDR: %w", err)
	}
	return s.serve(ctx, listener)
}

func (s *server) serve(ctx context.Context, listener net.Listener) error {
	address, _ := listener.Addr().(*net.TCPAddr)
	s.loopback = address != nil && address.IP.IsLoopback()
	h := &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // clients' broken connections
	}
	requests, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	h.BaseContext = func(net.Listener) context.Context { return requests }
	served := make(chan error, 1)
	go func() { served <- h.Serve(listener) }()
	if limit := s.nc.MaxPayload(); s.nc.IsConnected() && s.config.MaxBody > limit {
		s.log.Warn("bodies larger than the broker's max_payload are refused", "max_body", s.config.MaxBody, "max_payload", limit)
	}
	s.log.Info("api is listening", "address", listener.Addr().String())
	if s.config.Ready != nil {
		s.config.Ready(listener.Addr())
	}
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.log.Info("api is stopping; requests in flight may finish", "timeout", s.config.ShutdownTimeout.String())
	if shutdown(h, s.config.ShutdownTimeout) == nil {
		<-served
		return nil
	}
	// What still runs is told that nobody will know its outcome, and gets the time
	// to tell its caller.
	cut(dispatch.ErrStopping)
	err := fmt.Errorf("stop: requests still ran after %s", s.config.ShutdownTimeout)
	if shutdown(h, lastWords) != nil {
		err = errors.Join(err, h.Close())
	}
	<-served
	return err
}

func shutdown(h *http.Server, timeout time.Duration) error {
	ctx, stop := context.WithTimeout(context.Background(), timeout)
	defer stop()
	return h.Shutdown(ctx)
}
