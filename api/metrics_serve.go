package api

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"patchbay.dev/shared/diagnose"
)

// maxScrapes is how many may be answered at once: nobody shows a key for them.
const maxScrapes = 4

// ServeMetrics serves what is registered, and what Go and the system tell of the
// process, until stop is called: for the programs that have an api. The registry is
// nil if nobody wants metrics. The error names the setting.
func ServeMetrics(metrics *diagnose.Metrics, log *slog.Logger) (registry prometheus.Registerer, stop func(), err error) {
	if !metrics.On() {
		return nil, func() {}, nil
	}
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	stop, err = metrics.Start(promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
	}), log)
	return r, stop, err
}
