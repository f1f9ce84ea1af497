// Package diagnose lets an operator look into a running program, over listeners of
// their own: profiles for the same machine alone, metrics for whoever may ask.
package diagnose

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof" // which also adds to the default mux, that nobody serves
	"time"
)

// Config says where the profiles are served.
type Config struct {
	addr string // "" for nowhere
}

// Flags declares the setting: nothing is served by default.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.addr, "diagnostics-addr", "", "loopback address that serves profiles of the program below /debug/pprof/")
}

// Start serves the profiles until stop is called, which cuts those that are being
// made. The error names the setting: an address that others can reach is refused,
// since profiles tell what a program does and cost time.
func (c *Config) Start(log *slog.Logger) (stop func(), err error) {
	if c.addr == "" {
		return func() {}, nil
	}
	listener, err := listen(c.addr)
	if err != nil {
		return nil, fmt.Errorf("PATCHBAY_DIAGNOSTICS_ADDR: %w", err)
	}
	stop = serve(listener, &http.Server{
		Handler:           refusePages(profiles()),
		ReadHeaderTimeout: headerTimeout,
	}, log)
	log.Info("diagnostics are listening", "address", listener.Addr().String())
	return stop, nil
}

const headerTimeout = 10 * time.Second

// serve serves until stop is called, which cuts what runs.
func serve(listener net.Listener, server *http.Server, log *slog.Logger) (stop func()) {
	server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("diagnostics ended", "address", listener.Addr().String(), "error", err)
		}
	}()
	return func() {
		_ = server.Close() // nothing is to be saved
		<-served
	}
}

func listen(addr string) (net.Listener, error) {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	if !tcp.IP.IsLoopback() {
		return nil, fmt.Errorf("%q is not an address of this machine alone, as 127.0.0.1:6060 is", addr)
	}
	return net.ListenTCP("tcp", tcp)
}

// profiles is what "go tool pprof" and "go tool trace" ask for. The command line
// is left out: it may hold a secret.
func profiles() *http.ServeMux {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /debug/pprof/", pprof.Index)
	routes.HandleFunc("GET /debug/pprof/cmdline", http.NotFound)
	routes.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	routes.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	routes.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	routes.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return routes
}

// refusePages refuses what a browser asks for on behalf of another site: a page
// that gives its own name this machine's address, or one that links here.
func refusePages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		site := r.Header.Get("Sec-Fetch-Site")
		if !isLoopback(r.Host) || site != "" && site != "none" && site != "same-origin" {
			http.Error(w, "requests for other names than this machine's and from other sites are refused", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}
