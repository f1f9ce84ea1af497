package api

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"patchbay.dev/api/ledger"
)

// figures collects what is read when somebody asks: it stands in memory, or an index
// of the database has it.
type figures struct {
	*server
	descs []*prometheus.Desc
}

func newFigures(s *server) figures {
	f := figures{server: s}
	for i := range figureTable {
		row := &figureTable[i]
		f.descs = append(f.descs, prometheus.NewDesc(row.name, row.help, nil, row.labels))
	}
	return f
}

// Describe implements [prometheus.Collector].
func (f figures) Describe(to chan<- *prometheus.Desc) {
	for _, d := range f.descs {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (f figures) Collect(to chan<- prometheus.Metric) {
	n := f.now()
	for i, d := range f.descs {
		row := &figureTable[i]
		if v := row.value(&n); !math.IsNaN(v) {
			to <- prometheus.MustNewConstMetric(d, row.kind, v)
		}
	}
}

// figuresNow is what they are made of; NaN is what is not known.
type figuresNow struct {
	ledger.Stats
	load                                load
	recovered                           ledger.Recovered
	refused, reconnects                 uint64
	oldest, dead, connectors, connected float64
}

func (s *server) now() figuresNow {
	n := figuresNow{Stats: s.ledger.Stats(), recovered: s.ledger.Recovered(), reconnects: s.nc.Stats().Reconnects}
	n.load, n.refused = s.admission.stats()
	if s.nc.IsConnected() {
		n.connected = 1
	}
	oldest, err := s.ledger.Oldest()
	n.oldest = s.known(oldest.Seconds(), err)
	dead, err := s.ledger.DeadLetters()
	n.dead = s.known(float64(dead), err)
	connectors, err := s.store.Count()
	n.connectors = s.known(float64(connectors), err)
	return n
}

func (s *server) known(v float64, err error) float64 {
	if err != nil {
		s.log.Warn("metrics lack what the database does not tell", "error", err)
		return math.NaN()
	}
	return v
}

// drainTime is when the queue is empty if no more comes, at the pace of the last
// minute, or since there was none. Where nothing ended nobody knows: it is not infinite.
func (n *figuresNow) drainTime() float64 {
	switch {
	case n.Waiting == 0:
		return 0
	case n.MinuteRate == 0:
		return math.NaN()
	default:
		return float64(n.Waiting) / n.MinuteRate
	}
}

// figure is a row of the table: a metric, or one of several by a label.
type figure struct {
	name, help string
	kind       prometheus.ValueType
	labels     prometheus.Labels
	value      func(*figuresNow) float64
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

const queueHelp = "Executions of the queue by state; those that are dead are dead letters, counted to 100000 at the most."

const recoveredHelp = "Executions that were running when the api before this one ended, by what they are now."

var figureTable = []figure{
	{"patchbay_executions_in_flight", "Executions that were let in and are not answered yet.", gauge, nil,
		func(n *figuresNow) float64 { return float64(n.load.calls) }},
	{"patchbay_executions_in_flight_bytes", "Size of the requests of those that are in flight.", gauge, nil,
		func(n *figuresNow) float64 { return float64(n.load.bytes) }},
	{"patchbay_executions_refused_total", "Executions refused with 429 since too many, or too large ones, were in flight.", counter, nil,
		func(n *figuresNow) float64 { return float64(n.refused) }},

	{"patchbay_queue_executions", queueHelp, gauge, prometheus.Labels{"state": "queued"},
		func(n *figuresNow) float64 { return float64(n.Waiting) }},
	{"patchbay_queue_executions", queueHelp, gauge, prometheus.Labels{"state": "running"},
		func(n *figuresNow) float64 { return float64(n.Queued - n.Waiting) }},
	{"patchbay_queue_executions", queueHelp, gauge, prometheus.Labels{"state": "dead"},
		func(n *figuresNow) float64 { return n.dead }},
	{"patchbay_queue_oldest_seconds", "For how long the execution has waited that is due for longest; 0 if none is.", gauge, nil,
		func(n *figuresNow) float64 { return n.oldest }},
	{"patchbay_queue_time_to_drain_seconds", "When those that wait have ended, at the pace of the last minute, or since there was work; none if nothing ended in it.", gauge, nil,
		(*figuresNow).drainTime},
	{"patchbay_dead_letters_total", "Executions that became dead letters.", counter, nil,
		func(n *figuresNow) float64 { return float64(n.Buried) }},
	{"patchbay_recovered_total", recoveredHelp, counter, prometheus.Labels{"state": "queued"},
		func(n *figuresNow) float64 { return float64(n.recovered.Queued) }},
	{"patchbay_recovered_total", recoveredHelp, counter, prometheus.Labels{"state": "dead"},
		func(n *figuresNow) float64 { return float64(n.recovered.Dead) }},
	{"patchbay_recovered_total", recoveredHelp, counter, prometheus.Labels{"state": "unknown"},
		func(n *figuresNow) float64 { return float64(n.recovered.Unknown) }},

	{"patchbay_ledger_commits_total", "Transactions on the database of executions.", counter, nil,
		func(n *figuresNow) float64 { return float64(n.Commits) }},
	{"patchbay_ledger_rows_total", "Executions written in them, each as often as it changed.", counter, nil,
		func(n *figuresNow) float64 { return float64(n.Rows) }},
	{"patchbay_ledger_dropped_total", "Executions that are missing in the log, since they came faster than they could be written.", counter, nil,
		func(n *figuresNow) float64 { return float64(n.Dropped) }},
	{"patchbay_connectors", "Connectors that are stored.", gauge, nil,
		func(n *figuresNow) float64 { return n.connectors }},

	// The worker of an all-in-one has its own.
	{"patchbay_broker_connected", "1 while the broker is connected.", gauge, prometheus.Labels{"side": "api"},
		func(n *figuresNow) float64 { return n.connected }},
	{"patchbay_broker_reconnects_total", "Times that the connection to the broker came back.", counter, prometheus.Labels{"side": "api"},
		func(n *figuresNow) float64 { return float64(n.reconnects) }},
}
