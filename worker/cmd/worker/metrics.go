package main

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"patchbay.dev/shared/diagnose"
)

// maxScrapes is how many may be answered at once: nobody shows a key for them.
const maxScrapes = 4

// serveMetrics serves what is registered, and what Go and the system tell of the
// process, until stop is called. The registry is nil if nobody wants metrics.
func serveMetrics(metrics *diagnose.Metrics, log *slog.Logger) (registry prometheus.Registerer, stop func(), err error) {
	if !metrics.On() {
		return nil, func() {}, nil
	}
	r := prometheus.NewRegistry()
	//lint:ignore SA1019 the package of their new names links database/sql, which a worker does not
	r.MustRegister(prometheus.NewGoCollector(), prometheus.NewProcessCollector(prometheus.ProcessCollectorOpts{}))
	stop, err = metrics.Start(promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
	}), log)
	return r, stop, err
}
