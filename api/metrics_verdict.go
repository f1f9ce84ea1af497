package api

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// entrance is how an execution comes that is to be run later.
type entrance int

const (
	byRequest entrance = iota
	byBulk             // a line of it
	byMessage          // over the broker
)

var entrances = [...]string{"request", "bulk", "message"}

// refusals are the reasons of those that were not queued.
var refusals = [...]string{"full", "invalid", "other"}

// verdictMetrics count what is said to those that are to be run later.
type verdictMetrics struct {
	accepted, refused *prometheus.CounterVec
	by                [len(entrances)]verdicts
}

type verdicts struct {
	accepted prometheus.Counter
	refused  [len(refusals)]prometheus.Counter
}

func newVerdictMetrics() verdictMetrics {
	m := verdictMetrics{
		accepted: counters("patchbay_queue_accepted_total", "Executions that were queued, by how they came.", "by"),
		refused:  counters("patchbay_queue_refused_total", "Executions that were to be queued and were not, by how they came and the reason.", "by", "reason"),
	}
	for i, by := range entrances {
		m.by[i].accepted = m.accepted.WithLabelValues(by)
		for n, reason := range refusals {
			m.by[i].refused[n] = m.refused.WithLabelValues(by, reason)
		}
	}
	return m
}

// accepted counts an execution that was queued, unless it was known.
func (m *metrics) accepted(by entrance, known bool) {
	if m != nil && !known {
		m.verdicts.by[by].accepted.Inc()
	}
}

// refused counts one that was not, by the status that says so.
func (m *metrics) refused(by entrance, status int) {
	if m == nil {
		return
	}
	to := &m.verdicts.by[by].refused
	switch {
	case status == http.StatusTooManyRequests:
		to[0].Inc()
	case status < http.StatusInternalServerError:
		to[1].Inc()
	default:
		to[2].Inc()
	}
}
