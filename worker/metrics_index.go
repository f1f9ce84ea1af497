package worker

import (
	"github.com/prometheus/client_golang/prometheus"

	"patchbay.dev/worker/index"
)

// indexMetrics collects what the executor of ".index" tells.
type indexMetrics struct {
	stats func() index.Stats
	load  func() index.Load
	descs []*prometheus.Desc // as in the table
	sizes *prometheus.Desc
	limit *prometheus.Desc
}

func newIndexMetrics(e *index.Executor) indexMetrics {
	m := indexMetrics{
		stats: e.Stats, load: e.Load,
		sizes: prometheus.NewDesc("patchbay_index_executions_per_bulk", "Executions that a _bulk request carried.", nil, nil),
		limit: prometheus.NewDesc("patchbay_index_in_flight_limit", "How many of each the cluster bears now, but for those that hang.", nil, nil),
	}
	for i := range indexTable {
		row := &indexTable[i]
		m.descs = append(m.descs, prometheus.NewDesc(row.name, row.help, nil, row.labels))
	}
	return m
}

// Describe implements [prometheus.Collector].
func (m indexMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- m.sizes
	to <- m.limit
	for _, d := range m.descs {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (m indexMetrics) Collect(to chan<- prometheus.Metric) {
	now := indexNow{m.stats(), m.load()}
	for i, d := range m.descs {
		row := &indexTable[i]
		to <- prometheus.MustNewConstMetric(d, row.kind, float64(row.value(&now)))
	}
	if now.Limit > 0 { // there is none without batching
		to <- prometheus.MustNewConstMetric(m.limit, gauge, float64(now.Limit))
	}
	buckets, count := make(map[float64]uint64), uint64(0)
	for i, n := range now.Sizes {
		count += uint64(n) //nolint:gosec // a count
		if i < len(now.Sizes)-1 {
			buckets[float64(int(1)<<i)] = count
		}
	}
	to <- prometheus.MustNewConstHistogram(m.sizes, count, float64(now.Executions), buckets)
}

type indexNow struct {
	index.Stats
	index.Load
}

// indexRow is a metric, or one of two by a label.
type indexRow struct {
	name, help string
	kind       prometheus.ValueType
	labels     prometheus.Labels
	value      func(*indexNow) int64
}

const (
	gauge        = prometheus.GaugeValue
	counter      = prometheus.CounterValue
	inFlightHelp = "_bulk requests under way, with refresh and without; while some hang up to eight times as many as the setting says."
)

var indexTable = []indexRow{
	{"patchbay_index_bulks_total", "_bulk requests that were sent.", counter, nil, func(n *indexNow) int64 { return n.Bulks }},
	{"patchbay_index_bulk_executions_total", "Executions in them.", counter, nil, func(n *indexNow) int64 { return n.Executions }},
	{"patchbay_index_bulk_documents_total", "Documents in them.", counter, nil, func(n *indexNow) int64 { return n.Documents }},
	{"patchbay_index_bulk_bytes_total", "Size of their bodies.", counter, nil, func(n *indexNow) int64 { return n.Bytes }},
	{"patchbay_index_bulks_split_total", "_bulk requests sent again in halves, since one execution may have been to blame.", counter, nil,
		func(n *indexNow) int64 { return n.Splits }},
	{"patchbay_index_documents_resent_total", "Documents sent again since the cluster had no room for them.", counter, nil,
		func(n *indexNow) int64 { return n.Resent }},
	{"patchbay_index_executions_waiting", "Executions that wait for a _bulk request.", gauge, nil, func(n *indexNow) int64 { return n.Waiting }},
	{"patchbay_index_executions_refused_total", "Executions answered busy since too much was waiting.", counter, nil,
		func(n *indexNow) int64 { return n.Refused }},
	{"patchbay_index_executions_turned_away_total", "Times that an execution was not sent since the cluster had asked for a pause.", counter, nil,
		func(n *indexNow) int64 { return n.TurnedAway }},
	{"patchbay_index_in_flight", inFlightHelp, gauge, prometheus.Labels{"refresh": "false"},
		func(n *indexNow) int64 { return int64(n.InFlight) }},
	{"patchbay_index_in_flight", inFlightHelp, gauge, prometheus.Labels{"refresh": "true"},
		func(n *indexNow) int64 { return int64(n.InFlightRefresh) }},
	{"patchbay_index_paused", "1 while the cluster wants no requests.", gauge, nil, func(n *indexNow) int64 {
		if n.Paused {
			return 1
		}
		return 0
	}},
}
