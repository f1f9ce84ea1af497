// Package api is the HTTP side of Patchbay: it keeps connectors and asks
// workers to run them, in the dialect of Kibana 8.19's Actions & Connectors.
package api

import (
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/nats-io/nats.go"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/api/ledger"
	"patchbay.dev/api/store"
	"patchbay.dev/shared/wire"
)

// lastWords is the time that executions get to say that they were cut off.
const lastWords = time.Second

type server struct {
	config        Config
	log           *slog.Logger
	nc            *nats.Conn
	store         *store.Store
	dispatch      *dispatch.Dispatcher
	keeper        keeper
	guard         *guard
	admission     *admission
	audit         *auditor
	preconfigured map[string]*preconfigured
	rotation      rotation
	results       wire.Buffers // bodies of answers
	pieces        wire.Buffers // and with their headers
	loopback      bool         // only this machine can connect
	tls           *tls.Config  // nil for none
	refused       atomic.Bool  // the broker refuses what the api needs
	metrics       *metrics     // nil: nothing is counted
	ledger        *ledger.Ledger
	finisher      *finisher
	stopping      chan struct{} // closed when it begins to stop: who only waits is told so
}

// routes is the whole route table.
func (s *server) routes() *echo.Echo {
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect() // the default believes any X-Forwarded-For
	e.HTTPErrorHandler = s.handleError
	e.Use(s.around)

	e.GET("/healthz", bare(s, toKnowNothing, s.health)) // supervisors: the process lives
	e.GET("/readyz", bare(s, toKnowNothing, s.ready))   // load balancers: store and broker can be reached

	keys := e.Group("/api/security/api_key")
	keys.POST("", handle(s, toCreateKey, s.readKey, s.createKey))
	keys.GET("", bare(s, toListKeys, s.listKeys))
	keys.DELETE("", handle(s, toRevokeKeys, s.readRevoke, s.revokeKeys))

	e.POST("/api/actions/_rotate_secrets", handle(s, toRotate, s.readRotate, s.rotateSecrets)) // operators: of every space

	for _, root := range []string{"", "/s/:space_id"} {
		g := e.Group(root)
		g.GET("/api/status", bare(s, toKnowStatus, s.status)) // clients that ask for the version first
		g.GET("/api/openapi.yaml", bare(s, toKnowNothing, s.openapi))

		a := g.Group("/api/actions")
		create := handle(s, toCreate, s.readCreate, s.create(modern))
		a.POST("/connector", create)
		a.POST("/connector/", create) // Terraform, when it leaves the id to us
		a.POST("/connector/:id", create)
		a.GET("/connector/:id", bare(s, toGet, s.get(modern)))
		a.PUT("/connector/:id", handle(s, toUpdate, s.readUpdate, s.update(modern)))
		a.DELETE("/connector/:id", bare(s, toDelete, s.delete))
		a.GET("/connectors", bare(s, toList, s.list(modern)))
		a.GET("/connector_types", handle(s, toBeKnown, readFeature, s.types))
		a.POST("/connector/:id/_execute", handle(s, toExecute, s.readExecute, s.execute(modern)))

		a.POST("/_bulk_execute", handle(s, toExecute, readBulk, s.bulk)) // producers: a stream of executions for later
		a.GET("/executions", handle(s, toListExecutions, readListQuery, s.listExecutions))
		a.GET("/executions/:id", bare(s, toGetExecution, s.getExecution))
		a.DELETE("/executions/:id", bare(s, toDiscardExecution, s.discardExecution))
		a.POST("/executions/:id/_replay", bare(s, toReplayExecutions, s.replayExecution))
		a.POST("/executions/_replay", handle(s, toReplayExecutions, s.readReplay, s.replayExecutions))

		// Kibana's own pages; internal there, and the only log of executions that it has.
		logs := g.Group("/internal/actions")
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			logs.Add(method, "/_global_connector_execution_logs", handle(s, toReadExecutionLogs, s.readLog, s.kibanaLogs))
			logs.Add(method, "/_global_connector_execution_kpi", handle(s, toReadExecutionLogs, s.readCounts, s.kibanaKPI))
		}

		spaces := g.Group("/api/spaces/space")
		spaces.POST("", handle(s, toCreateSpace, s.readSpace, s.createSpace))
		spaces.GET("", handle(s, toListSpaces, readSpacesQuery, s.listSpaces))
		spaces.GET("/:id", handle(s, toGetSpace, pathSpace, s.getSpace))
		spaces.PUT("/:id", handle(s, toUpdateSpace, s.readSpaceUpdate, s.updateSpace))
		spaces.DELETE("/:id", handle(s, toDeleteSpace, pathSpace, s.deleteSpace))

		// Deprecated in Kibana, still there in 8.19.
		a.POST("/action", handle(s, toCreate, s.readLegacyCreate, s.create(legacy)), warnLegacy)
		a.GET("", bare(s, toList, s.list(legacy)), warnLegacy)
		a.GET("/action/:id", bare(s, toGet, s.get(legacy)), warnLegacy)
		a.PUT("/action/:id", handle(s, toUpdate, s.readUpdate, s.update(legacy)), warnLegacy)
		a.DELETE("/action/:id", bare(s, toDelete, s.delete), warnLegacy)
		a.GET("/list_action_types", bare(s, toBeKnown, s.legacyTypes), warnLegacy)
		a.POST("/action/:id/_execute", handle(s, toExecute, s.readExecute, s.execute(legacy)), warnLegacy)
	}
	s.metrics.know(e.Routes())
	return e
}

// Run serves the API until ctx ends, then lets requests in flight finish. nc is
// the connection to the broker; see [dispatch.New] for how to make it.
func Run(ctx context.Context, config Config, nc *nats.Conn, log *slog.Logger) (err error) {
	s := &server{config: config, log: log, nc: nc, stopping: make(chan struct{})}
	if s.tls, err = readTLS(config.TLSCertFile, config.TLSKeyFile, log); err != nil {
		return err
	}
	if s.admission, err = newAdmission(&config); err != nil {
		return err
	}
	s.keeper = keeper{hosts: config.Hosts, key: config.SealKey, log: log, lookup: config.LookupEnv}
	handler, closeAudit, err := openAudit(&config, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAudit()) }()
	s.audit = newAuditor(handler)
	if s.preconfigured, err = s.keeper.loadPreconfigured(config.ConfigFile); err != nil {
		return err
	}
	options := store.Options{MaxConnectors: config.MaxConnectors, MaxSpaces: config.MaxSpaces, MaxKeys: config.MaxKeys}
	if s.store, err = store.Open(ctx, config.DataDir, options); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.store.Close()) }()
	s.guard = &guard{store: s.store, log: log, off: config.AuthOff, limits: keyLimits{config.MaxRate, config.MaxRunning}}
	if s.dispatch, err = dispatch.New(nc); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.dispatch.Close()) }()
	if err := s.openLedger(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.closeLedger()) }()
	if err := s.openMetrics(); err != nil {
		return err
	}
	stopWatching, err := s.watchBroker(ctx)
	if err != nil {
		return err
	}
	defer stopWatching()

	listener, err := net.Listen("tcp", config.Addr) //nolint:noctx // there is nothing to wait for
	if err != nil {
		return fmt.Errorf("PATCHBAY_HTTP_ADDR: %w", err)
	}
	stopQueue := s.startQueue(ctx)
	defer func() { err = errors.Join(err, stopQueue()) }()
	return s.serve(ctx, listener)
}

func (s *server) serve(ctx context.Context, listener net.Listener) error {
	address, _ := listener.Addr().(*net.TCPAddr)
	s.loopback = address != nil && address.IP.IsLoopback()
	if err := s.guard.start(ctx, s.loopback, errNoFirstKey{s.config.Addr, s.config.Program}); err != nil {
		return errors.Join(err, listener.Close())
	}
	var keeping sync.WaitGroup
	defer keeping.Wait()
	keepUntil, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopKeeping()
	keeping.Go(func() { s.guard.keepUsed(keepUntil) })
	keeping.Go(func() { s.watchLog(keepUntil) })
	h := &http.Server{
		Handler:           s.routes(),
		TLSConfig:         s.tls,
		ReadHeaderTimeout: s.config.HeaderTimeout,
		IdleTimeout:       s.config.IdleTimeout,
		MaxHeaderBytes:    int(s.config.MaxHeader),
		// It counts from the end of the header: no body and no execution is cut.
		WriteTimeout: s.config.ReadTimeout + s.config.ExecuteTimeout + s.config.WriteTimeout,
		// The former ends streams; a connection whose client reads nothing at all ends here.
		HTTP2:    &http.HTTP2Config{WriteByteTimeout: s.config.WriteTimeout},
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // clients' broken connections
	}
	requests, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	h.ConnContext = withPiece
	h.BaseContext = func(net.Listener) context.Context { return requests }
	served := make(chan error, 1)
	if s.tls == nil { // TLS writes records, of what size it likes
		listener = pieces{listener, &s.pieces}
	}
	go func() { served <- serve(h, listener) }()
	if limit := s.nc.MaxPayload(); s.nc.IsConnected() && s.config.MaxBody > limit {
		s.log.Warn("bodies larger than the broker's max_payload are refused", "max_body", s.config.MaxBody, "max_payload", limit)
	}
	s.log.Info("api is listening", "address", listener.Addr().String(), "tls", s.tls != nil)
	if s.config.Ready != nil {
		s.config.Ready(s.config.scheme() + "://" + listener.Addr().String())
	}
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	close(s.stopping)
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
