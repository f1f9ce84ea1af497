package worker

import (
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/outbound"
	"patchbay.dev/worker/pool"
)

// durations are the buckets of the histogram of runs: seconds.
var durations = []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 15, 30, 120}

// observing registers what is counted when an execution ends. It returns the
// [pool.Options] Observe, which looks the counters of a type up once; nil if nobody
// wants metrics.
func observing(to prometheus.Registerer) (func(typeID string) func(pool.End), error) {
	if to == nil {
		return nil, nil
	}
	executions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "patchbay_worker_executions_total", Help: "Executions that the worker took, by what came of them; not_run: it was too late to begin.",
	}, []string{"type", "outcome"})
	busy := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "patchbay_worker_busy_total", Help: "Executions that the worker answered busy; the api asks again.",
	}, []string{"type"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "patchbay_worker_run_duration_seconds", Help: "Time that the executions took to run.", Buckets: durations,
	}, []string{"type"})
	if err := register(to, executions, busy, took); err != nil {
		return nil, err
	}
	return func(typeID string) func(pool.End) {
		of := func(outcome string) prometheus.Counter { return executions.WithLabelValues(typeID, outcome) }
		ok, failed, unknown, notRun := of("ok"), of("error"), of("unknown"), of("not_run")
		refused, duration := busy.WithLabelValues(typeID), took.WithLabelValues(typeID)
		return func(e pool.End) {
			switch {
			case e.Busy:
				refused.Inc()
				return
			case e.Took == 0:
				notRun.Inc()
				return
			case e.Outcome == wire.OK:
				ok.Inc()
			case e.Outcome == wire.Unknown:
				unknown.Inc()
			default:
				failed.Inc()
			}
			duration.Observe(e.Took.Seconds())
		}
	}, nil
}

// watching registers what is read when somebody asks.
func watching(to prometheus.Registerer, p *pool.Pool, slots int, layer *outbound.Layer, nc *nats.Conn) error {
	if to == nil {
		return nil
	}
	side := prometheus.Labels{"side": "worker"} // the api of an all-in-one has its own
	return register(to,
		gaugeOf("patchbay_worker_running", "Executions that hold a slot of the worker.", nil, func() float64 { return float64(p.Running()) }),
		gaugeOf("patchbay_worker_slots", "Slots of the worker.", nil, func() float64 { return float64(slots) }),
		gaugeOf("patchbay_outbound_paused", "Destinations that asked for a pause which is not over.", nil, func() float64 { return float64(layer.Paused()) }),
		gaugeOf("patchbay_broker_connected", "1 while the broker is connected.", side, func() float64 { return oneIf(nc.IsConnected()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "patchbay_broker_reconnects_total", Help: "Times that the connection to the broker came back.", ConstLabels: side,
		}, func() float64 { return float64(nc.Stats().Reconnects) }),
	)
}

func gaugeOf(name, help string, labels prometheus.Labels, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value)
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func register(to prometheus.Registerer, collectors ...prometheus.Collector) error {
	for _, c := range collectors {
		if err := to.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}
