package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/api/ledger"
	"patchbay.dev/api/queue"
	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
)

// metrics counts what happens; what merely is, [figures] reads when it is asked for.
// Labels are never what a user wrote, but for ids of types, of which there is a list.
// The methods of nil do nothing.
type metrics struct {
	types  []typeMetrics // few: to look at each is quicker than to hash
	routes routeMetrics

	verdicts verdictMetrics
}

// typeMetrics are the counters of a type, looked up once.
type typeMetrics struct {
	id         string
	executions tally // that somebody waited for
	attempts   tally // of the queue
	notRun     [len(reasons)]prometheus.Counter
	duration   prometheus.Observer
}

// tally counts by outcome.
type tally struct{ ok, failed, unknown, notRun, cancelled prometheus.Counter }

// reason says why nothing was run.
type reason int

const (
	becauseNoWorker reason = iota
	becauseBusy
	becauseDisconnected
	becauseTooLarge
	becauseOther
)

var reasons = [...]string{"no_worker", "busy", "disconnected", "too_large", "other"}

// durations are the buckets of histograms: seconds. What takes all of the time that an
// execution has by default ends a little after it, and is in the last one.
var durations = []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 15, 30, 120}

// openMetrics registers the metrics of the api, if anybody wants them.
func (s *server) openMetrics() error {
	if s.config.Metrics == nil {
		return nil
	}
	byOutcome := []string{"type", "outcome"}
	executions := counters("patchbay_executions_total", "Executions that somebody waited for, by what came of them.", byOutcome...)
	attempts := counters("patchbay_queue_attempts_total", "Attempts of the queue to run an execution, by what came of them.", byOutcome...)
	notRun := counters("patchbay_executions_not_run_total", "Executions and attempts of the queue of which nothing was run, by the reason.", "type", "reason")
	took := histograms("patchbay_execution_duration_seconds", "Time from asking the workers to their answer, of executions that somebody waited for and that were run.", "type")
	m := &metrics{routes: newRouteMetrics(), verdicts: newVerdictMetrics()}
	for _, d := range connector.All {
		t := typeMetrics{id: d.Describe().ID}
		t.executions, t.attempts = tallyOf(executions, t.id), tallyOf(attempts, t.id)
		for i, reason := range reasons {
			t.notRun[i] = notRun.WithLabelValues(t.id, reason)
		}
		t.duration = took.WithLabelValues(t.id)
		m.types = append(m.types, t)
	}
	for _, c := range []prometheus.Collector{
		executions, attempts, notRun, took, m.routes.requests, m.routes.took, m.verdicts.accepted, m.verdicts.refused, newFigures(s),
	} {
		if err := s.config.Metrics.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	s.metrics = m
	return nil
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histograms(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: durations}, labels)
}

func tallyOf(c *prometheus.CounterVec, typeID string) tally {
	of := func(outcome string) prometheus.Counter { return c.WithLabelValues(typeID, outcome) }
	return tally{of("ok"), of("error"), of("unknown"), of("not_run"), of("cancelled")}
}

// of returns the counters of a type, nil if it is none of the list.
func (m *metrics) of(typeID string) *typeMetrics {
	for i := range m.types {
		if m.types[i].id == typeID {
			return &m.types[i]
		}
	}
	return nil
}

// executed counts an execution that somebody waited for. An error says that nothing
// was run, or that he has left.
func (m *metrics) executed(typeID string, outcome wire.Outcome, err error, took time.Duration) {
	if m == nil {
		return
	}
	if t := m.of(typeID); t != nil {
		t.count(&t.executions, outcome, err)
		if err == nil {
			t.duration.Observe(took.Seconds())
		}
	}
}

// counting has a queue's attempts counted.
func (m *metrics) counting(run queue.Run) queue.Run {
	if m == nil {
		return run
	}
	return func(ctx context.Context, job *ledger.Job) (wire.Reply, error) {
		reply, err := run(ctx, job)
		if t := m.of(job.Type); t != nil {
			t.count(&t.attempts, reply.Outcome(), err)
		}
		return reply, err
	}
}

func (t *typeMetrics) count(by *tally, outcome wire.Outcome, err error) {
	switch {
	case errors.Is(err, context.Canceled): // it may have been run all the same
		by.cancelled.Inc()
	case err != nil:
		by.notRun.Inc()
		t.notRun[reasonOf(err)].Inc()
	case outcome == wire.OK:
		by.ok.Inc()
	case outcome == wire.Unknown:
		by.unknown.Inc()
	default:
		by.failed.Inc()
	}
}

func reasonOf(err error) reason {
	if _, ok := errors.AsType[*dispatch.TooLargeError](err); ok {
		return becauseTooLarge
	}
	switch {
	case errors.Is(err, dispatch.ErrNoWorker):
		return becauseNoWorker
	case errors.Is(err, dispatch.ErrBusy):
		return becauseBusy
	case errors.Is(err, dispatch.ErrDisconnected):
		return becauseDisconnected
	default:
		return becauseOther
	}
}
