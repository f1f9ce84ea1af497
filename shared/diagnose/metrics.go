package diagnose

import (
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Metrics says where the metrics of a program are served.
type Metrics struct {
	addr string // "" for nowhere
}

// Flags declares the setting: nothing is served by default.
func (m *Metrics) Flags(fs *flag.FlagSet) {
	fs.StringVar(&m.addr, "metrics-addr", "", "address that serves /metrics for Prometheus, without a key and without TLS")
}

// On reports whether metrics are to be served at all.
func (m *Metrics) On() bool { return m.addr != "" }

// Start serves what handler answers to GET /metrics, and nothing else, until stop
// is called. The error names the setting. Other than for profiles any address will
// do: whoever scrapes is elsewhere.
func (m *Metrics) Start(handler http.Handler, log *slog.Logger) (stop func(), err error) {
	listener, err := net.Listen("tcp", m.addr) //nolint:noctx // there is nothing to wait for
	if err != nil {
		return nil, fmt.Errorf("PATCHBAY_METRICS_ADDR: %w", err)
	}
	routes := http.NewServeMux()
	routes.Handle("GET /metrics", handler)
	stop = serve(listener, &http.Server{
		Handler:           routes,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout, // there is no body
		WriteTimeout:      time.Minute,
		IdleTimeout:       5 * time.Minute, // scrapes come every few seconds, or every few minutes
		MaxHeaderBytes:    64 << 10,
	}, log)
	log.Info("metrics are listening", "address", listener.Addr().String())
	return stop, nil
}
