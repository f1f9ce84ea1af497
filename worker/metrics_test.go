package worker

import (
	"bufio"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/index"
	"patchbay.dev/worker/index/elastictest"
	"patchbay.dev/worker/pool/pooltest"
)

// counted is a worker whose metrics are counted, and the cluster that it writes to.
type counted struct {
	*testing.T
	nc       *nats.Conn // of who asks
	cluster  *elastictest.Server
	registry *prometheus.Registry
}

func setupCounted(t *testing.T, slots int, edits ...func(*Config)) *counted {
	t.Helper()
	broker := pooltest.Broker(t)
	c := &counted{t, pooltest.Connect(t, broker), elastictest.Start(), prometheus.NewPedanticRegistry()}
	t.Cleanup(c.cluster.Close)
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	config := Config{
		Slots: slots, DestinationSlots: slots, Types: []string{"all"}, MaxResponse: 1 << 20, Metrics: c.registry,
		Index:           index.Config{URL: c.cluster.URL(), Batching: index.Batching{On: true, InFlight: 1, Bytes: 1 << 20, Documents: 100, Queue: 1 << 20}},
		ShutdownTimeout: 10 * time.Second, Ready: func() { close(ready) },
	}
	for _, edit := range edits {
		edit(&config)
	}
	nc := pooltest.Connect(t, broker)
	go func() { ended <- Run(ctx, config, nc, slog.New(slog.NewTextHandler(t.Output(), nil))) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("Run: %v", err)
	}
	return c
}

// ask asks for an execution and returns where the answer comes.
func (c *counted) ask(typeID, config, params string, left time.Duration) *nats.Subscription {
	c.Helper()
	body, err := wire.Encode(wire.Request{TimeLeft: wire.Millis(left), Params: json.RawMessage(params),
		Connector: wire.Connector{ID: "id", Type: typeID, Config: json.RawMessage(config)}})
	if err != nil {
		c.Fatal(err)
	}
	subject, err := wire.Subject(typeID)
	if err != nil {
		c.Fatal(err)
	}
	answer, err := c.nc.SubscribeSync(c.nc.NewInbox())
	if err != nil {
		c.Fatal(err)
	}
	if err := c.nc.PublishRequest(subject, answer.Subject, body); err != nil {
		c.Fatal(err)
	}
	return answer
}

// answered waits for an answer that is no heartbeat.
func (c *counted) answered(answers ...*nats.Subscription) {
	c.Helper()
	for _, a := range answers {
		for {
			msg, err := a.NextMsg(10 * time.Second)
			if err != nil {
				c.Fatal(err)
			}
			if msg.Header.Get(wire.SignalHeader) != wire.Running {
				break
			}
		}
	}
}

// scrape returns the samples of the metrics whose names begin with one of the
// prefixes, without those that are 0 and without what is measured in time.
func (c *counted) scrape(prefixes ...string) map[string]string {
	c.Helper()
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(c.registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	samples := make(map[string]string)
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		sample, value, _ := strings.Cut(lines.Text(), " ")
		if value == "0" || strings.HasPrefix(sample, "#") || strings.Contains(sample, "_duration_seconds_bucket") || strings.Contains(sample, "_duration_seconds_sum") {
			continue
		}
		for _, prefix := range prefixes {
			if strings.HasPrefix(sample, prefix) {
				samples[sample] = value
			}
		}
	}
	return samples
}

// want compares a scrape, again and again for some time: that something waits, or has
// given its place back, nothing signals.
func (c *counted) want(want map[string]string, prefixes ...string) {
	c.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		got := c.scrape(prefixes...)
		if maps.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("metrics (-want +got):\n%s", cmp.Diff(want, got))
		}
	}
}

const patient = 20 * time.Second

func TestBulksAreCountedAsTheClusterGetsThem(t *testing.T) {
	t.Parallel()
	c := setupCounted(t, 64)
	write := func() *nats.Subscription {
		return c.ask(".index", `{"index":"i"}`, `{"documents":[{"n":1},{"n":22}]}`, patient)
	}
	release := c.cluster.Hold()
	answers := []*nats.Subscription{write()}
	if err := c.cluster.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		answers = append(answers, write())
	}
	c.want(map[string]string{
		"patchbay_index_executions_waiting":         "3",
		`patchbay_index_in_flight{refresh="false"}`: "1",
		"patchbay_index_in_flight_limit":            "1",
		"patchbay_worker_running":                   "4",
		"patchbay_worker_slots":                     "64",
		`patchbay_broker_connected{side="worker"}`:  "1",
	}, "patchbay_index_executions_waiting", "patchbay_index_in_flight", "patchbay_worker_running", "patchbay_worker_slots", "patchbay_broker")
	release()
	c.answered(answers...)

	received, size, documents := c.cluster.Received(), 0, 0
	for _, r := range received {
		size += len(r.Body)
		documents += strings.Count(string(r.Body), "\n") / 2
	}
	if len(received) != 2 || documents != 8 {
		t.Fatalf("the cluster got %d requests with %d documents, want 2 with 8", len(received), documents)
	}
	want := map[string]string{
		"patchbay_index_bulks_total":                                   "2",
		"patchbay_index_bulk_executions_total":                         "4",
		"patchbay_index_bulk_documents_total":                          "8",
		"patchbay_index_bulk_bytes_total":                              strconv.Itoa(size),
		"patchbay_index_in_flight_limit":                               "1",
		"patchbay_index_executions_per_bulk_count":                     "2",
		"patchbay_index_executions_per_bulk_sum":                       "4",
		`patchbay_index_executions_per_bulk_bucket{le="1"}`:            "1",
		`patchbay_index_executions_per_bulk_bucket{le="2"}`:            "1",
		`patchbay_index_executions_per_bulk_bucket{le="+Inf"}`:         "2",
		`patchbay_worker_executions_total{outcome="ok",type=".index"}`: "4",
		`patchbay_worker_run_duration_seconds_count{type=".index"}`:    "4",
		"patchbay_worker_slots":                                        "64",
	}
	for le := 4; le <= 512; le *= 2 {
		want[`patchbay_index_executions_per_bulk_bucket{le="`+strconv.Itoa(le)+`"}`] = "2"
	}
	c.want(want, "patchbay_index", "patchbay_worker")
}

func TestExecutionsAreCountedByWhatTheWorkerMadeOfThem(t *testing.T) {
	t.Parallel()
	c := setupCounted(t, 1)
	log := func(params string, left time.Duration) {
		t.Helper()
		c.answered(c.ask(".server-log", `{}`, params, left))
	}
	log(`{"message":"m"}`, patient)
	log(`{"message":"m"}`, patient)
	log(`{"no":"message"}`, patient)
	log(`{"message":"m"}`, time.Millisecond) // too late
	c.answered(c.ask(".index", `{"index":"cut"}`, `{"documents":[{}]}`, patient))
	release := c.cluster.Hold()
	holds := c.ask(".index", `{"index":"i"}`, `{"documents":[{}]}`, patient)
	if err := c.cluster.Wait(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	log(`{"message":"m"}`, patient) // there is one slot
	release()
	c.answered(holds)
	const executions = "patchbay_worker_executions_total"
	c.want(map[string]string{
		executions + `{outcome="ok",type=".server-log"}`:                 "2",
		executions + `{outcome="error",type=".server-log"}`:              "1",
		executions + `{outcome="not_run",type=".server-log"}`:            "1",
		executions + `{outcome="unknown",type=".index"}`:                 "1",
		executions + `{outcome="ok",type=".index"}`:                      "1",
		`patchbay_worker_busy_total{type=".server-log"}`:                 "1",
		`patchbay_worker_run_duration_seconds_count{type=".server-log"}`: "3",
		`patchbay_worker_run_duration_seconds_count{type=".index"}`:      "2",
		"patchbay_worker_slots":                                          "1",
	}, "patchbay_worker")
}

func TestPausesAreCounted(t *testing.T) {
	t.Parallel()
	c := setupCounted(t, 8)
	c.answered(c.ask(".index", `{"index":"status-429-in-5"}`, `{"documents":[{}]}`, 3*time.Second))
	c.want(map[string]string{"patchbay_index_paused": "1", "patchbay_outbound_paused": "1"}, "patchbay_index_paused", "patchbay_outbound")
	c.answered(c.ask(".index", `{"index":"i"}`, `{"documents":[{}]}`, 3*time.Second))
	c.want(map[string]string{"patchbay_index_executions_turned_away_total": "1"}, "patchbay_index_executions_turned_away")
}

func TestWorkerWithoutIndexTellsNothingOfIt(t *testing.T) {
	t.Parallel()
	c := setupCounted(t, 8, func(c *Config) { c.Types = []string{".server-log", ".jira"} })
	c.answered(c.ask(".server-log", `{}`, `{"message":"m"}`, patient))
	c.want(map[string]string{"patchbay_worker_slots": "8"}, "patchbay_index", "patchbay_worker_slots")
	if all := c.names(); slices.ContainsFunc(all, func(n string) bool { return strings.HasPrefix(n, "patchbay_index") }) {
		t.Errorf("there are %v", all)
	}
}

func TestNoLimitIsToldWithoutBatching(t *testing.T) {
	t.Parallel()
	c := setupCounted(t, 8, func(c *Config) { c.Types, c.Index.Batching.On = []string{".index"}, false })
	c.answered(c.ask(".index", `{"index":"i"}`, `{"documents":[{}]}`, patient))
	if all := c.names(); !slices.Contains(all, "patchbay_index_in_flight") || slices.Contains(all, "patchbay_index_in_flight_limit") {
		t.Errorf("there are %v", all)
	}
}

// names returns the names of all that is told, also of what is 0.
func (c *counted) names() (names []string) {
	c.Helper()
	families, err := c.registry.Gather()
	if err != nil {
		c.Fatal(err)
	}
	for _, f := range families {
		names = append(names, f.GetName())
	}
	return names
}

func TestDurationsReachBeyondTheTimeThatAnExecutionHas(t *testing.T) {
	t.Parallel()
	if first, last := durations[0], durations[len(durations)-1]; first > .0005 || last <= 60 || !slices.IsSorted(durations) {
		t.Errorf("buckets %v", durations)
	}
}
