package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

// counted is a server whose metrics are counted.
type counted struct {
	*bundle
	registry *prometheus.Registry
}

func setupCounted(t *testing.T, o options) *counted {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	o.config = func(c *Config) { c.Metrics = registry }
	return &counted{setupWith(t, o), registry}
}

// scrape returns the samples of the metrics whose names begin with one of the
// prefixes, without those that are 0 and without what is measured in time.
func (c *counted) scrape(prefixes ...string) map[string]string {
	c.Helper()
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(c.registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if answer.Code != http.StatusOK {
		c.Fatalf("scrape: %d %s", answer.Code, answer.Body)
	}
	samples := make(map[string]string)
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		sample, value, _ := strings.Cut(lines.Text(), " ")
		name, _, _ := strings.Cut(sample, "{")
		if value == "0" || strings.HasPrefix(sample, "#") || strings.HasSuffix(name, "_bucket") || strings.HasSuffix(name, "_sum") {
			continue
		}
		for _, prefix := range prefixes {
			if strings.HasPrefix(name, prefix) {
				samples[sample] = value
			}
		}
	}
	return samples
}

// want compares a scrape, again and again for some time: a request is counted after
// its answer, and nothing signals that.
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

// say has a worker of ".server-log" do what the message says, which is an outcome.
func (c *counted) say() {
	c.work(".server-log", func(r wire.Request, _ nats.Header) wire.Reply {
		var params struct{ Message string }
		if err := json.Unmarshal(r.Params, &params); err != nil {
			c.Error(err)
		}
		if params.Message == "ok" {
			return wire.Reply{}
		}
		return wire.Reply{Failure: &wire.Failure{
			Message: "no", Retry: wire.RetryNever(), Source: wire.User, Unknown: params.Message == "unknown",
		}}
	})
}

func message(text string) string { return `{"params":{"message":"` + text + `"}}` }

func TestExecutionsAreCountedByWhatBecameOfThem(t *testing.T) {
	t.Parallel()
	c := setupCounted(t, options{timeout: 500 * time.Millisecond, maxBody: 4 << 20})
	c.create("log", serverLogBody)
	c.create("busy", jiraBody)
	c.create("nobody", indexBody)
	c.say()
	c.subscribe(".jira", func(msg *nats.Msg) {
		busy := &nats.Msg{Subject: msg.Reply, Header: nats.Header{wire.SignalHeader: {wire.Busy}}}
		if err := c.workers.PublishMsg(busy); err != nil {
			c.Error(err)
		}
	})
	execute := func(id, body string, status int) {
		c.must(c.send("POST", "/api/actions/connector/"+id+"/_execute", body), status)
	}
	for text, times := range map[string]int{"ok": 3, "error": 2, "unknown": 1} {
		for range times {
			execute("log", message(text), http.StatusOK)
		}
	}
	execute("log", message(strings.Repeat("large", 400_000)), http.StatusRequestEntityTooLarge)
	execute("busy", `{"params":{"subAction":"getFields","subActionParams":{}}}`, http.StatusServiceUnavailable)
	execute("nobody", `{"params":{"documents":[{}]}}`, http.StatusServiceUnavailable)
	execute("nobody", `{"params":{"documents":[{}]}}`, http.StatusServiceUnavailable)
	execute("missing", message("ok"), http.StatusNotFound) // it is no execution of any type
	c.stopBroker()
	execute("log", message("ok"), http.StatusServiceUnavailable)

	const executions, notRun = "patchbay_executions_total", "patchbay_executions_not_run_total"
	c.want(map[string]string{
		executions + `{outcome="ok",type=".server-log"}`:                "3",
		executions + `{outcome="error",type=".server-log"}`:             "2",
		executions + `{outcome="unknown",type=".server-log"}`:           "1",
		executions + `{outcome="not_run",type=".server-log"}`:           "2",
		executions + `{outcome="not_run",type=".index"}`:                "2",
		executions + `{outcome="not_run",type=".jira"}`:                 "1",
		notRun + `{reason="too_large",type=".server-log"}`:              "1",
		notRun + `{reason="disconnected",type=".server-log"}`:           "1",
		notRun + `{reason="busy",type=".jira"}`:                         "1",
		notRun + `{reason="no_worker",type=".index"}`:                   "2",
		`patchbay_execution_duration_seconds_count{type=".server-log"}`: "6",
		`patchbay_connectors`:                                           "3",
	}, "patchbay_execution", "patchbay_broker", "patchbay_connectors")
}

func TestWhoLeavesIsCounted(t *testing.T) {
	t.Parallel()
	c := setupCounted(t, options{})
	c.create("a", serverLogBody)
	taken := make(chan struct{})
	c.subscribe(".server-log", func(*nats.Msg) { close(taken) }) // and never answers
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+executeA, strings.NewReader(executeLog))
		if err == nil {
			request.Header.Set("Content-Type", "application/json")
			_, err = http.DefaultClient.Do(request)
		}
		left <- err
	}()
	await(t, taken)
	c.want(map[string]string{"patchbay_executions_in_flight": "1", "patchbay_executions_in_flight_bytes": "30"}, "patchbay_executions_in_flight")
	leave()
	if err := await(t, left); err == nil {
		t.Error("there was an answer")
	}
	c.want(map[string]string{
		`patchbay_executions_total{outcome="cancelled",type=".server-log"}`:                                   "1",
		`patchbay_http_requests_total{code="200",method="POST",route="/api/actions/connector/:id"}`:           "1",
		`patchbay_http_requests_total{code="none",method="POST",route="/api/actions/connector/:id/_execute"}`: "1",
		`patchbay_http_request_duration_seconds_count{route="/api/actions/connector/:id"}`:                    "1",
		`patchbay_http_request_duration_seconds_count{route="/api/actions/connector/:id/_execute"}`:           "1",
	}, "patchbay_executions", "patchbay_http")
}

func TestRequestsAreCountedByRoutesAndNotByWhatClientsThinkOf(t *testing.T) {
	t.Parallel()
	c := setupCounted(t, options{maxInFlight: 1})
	c.create("a", serverLogBody)
	c.sendBad("GET", "/s/a-space/api/actions/connector/an-id", "")
	c.sendBad("GET", "/s/another/api/actions/connector/an-id", "")
	c.sendBad("GET", "/no/such/path?q=1", "")
	c.sendBad("INVENTED", "/api/actions/connector/a", "")
	c.sendBad("PATCH", "/api/actions/connector/a", "")
	taken := make(chan struct{})
	c.subscribe(".server-log", func(*nats.Msg) { close(taken) })
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	go func() {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+executeA, strings.NewReader(executeLog))
		if err == nil {
			request.Header.Set("Content-Type", "application/json")
			_, _ = http.DefaultClient.Do(request)
		}
	}()
	await(t, taken)
	c.must(c.send("POST", executeA, executeLog), http.StatusTooManyRequests)
	const requests = "patchbay_http_requests_total"
	c.want(map[string]string{
		requests + `{code="200",method="POST",route="/api/actions/connector/:id"}`:            "1",
		requests + `{code="404",method="GET",route="/s/:space_id/api/actions/connector/:id"}`: "2",
		requests + `{code="404",method="other",route="other"}`:                                "1",
		requests + `{code="405",method="other",route="other"}`:                                "2",
		requests + `{code="429",method="POST",route="/api/actions/connector/:id/_execute"}`:   "1",
		`patchbay_executions_refused_total`:                                                   "1",
		`patchbay_broker_connected{side="api"}`:                                               "1",
	}, requests, "patchbay_executions_refused_total", "patchbay_broker")
}

func TestQueueIsCounted(t *testing.T) {
	t.Parallel()
	c := setupCounted(t, options{queue: true})
	c.create("log", serverLogBody)
	c.say()
	later := func(id, body string) string {
		return c.accepted(c.send("POST", "/api/actions/connector/"+id+"/_execute", body, prefer("respond-async")), "").ExecutionID
	}
	for _, text := range []string{"ok", "ok", "error", "unknown"} {
		c.ended("default", later("log", message(text)))
	}
	const attempts = "patchbay_queue_attempts_total"
	c.want(map[string]string{
		attempts + `{outcome="ok",type=".server-log"}`:      "2",
		attempts + `{outcome="error",type=".server-log"}`:   "1",
		attempts + `{outcome="unknown",type=".server-log"}`: "3", // it is safe to repeat
		`patchbay_queue_executions{state="dead"}`:           "2",
		`patchbay_dead_letters_total`:                       "2",
		`patchbay_queue_accepted_total{by="request"}`:       "4",
	}, "patchbay_queue", "patchbay_dead_letters", "patchbay_executions_total")

	c.create("nobody", indexBody)
	later("nobody", `{"params":{"documents":[{}]}}`)
	var got map[string]string
	for deadline := time.Now().Add(10 * time.Second); ; {
		got = c.scrape("patchbay_queue", "patchbay_executions_not_run_total", "patchbay_ledger")
		if got[attempts+`{outcome="not_run",type=".index"}`] != "" && got["patchbay_queue_oldest_seconds"] != "" &&
			got[`patchbay_queue_executions{state="queued"}`] == "1" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing waits: %v", got)
		}
	}
	for _, name := range []string{
		"patchbay_queue_time_to_drain_seconds", `patchbay_executions_not_run_total{reason="no_worker",type=".index"}`,
		"patchbay_ledger_commits_total", "patchbay_ledger_rows_total",
	} {
		if got[name] == "" {
			t.Errorf("no %s in %v", name, got)
		}
	}
}

func TestTimeToDrainIsNeverInfinite(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		waiting int
		rate    float64
		want    float64
	}{{0, 0, 0}, {0, 5, 0}, {100, 0, math.NaN()}, {100, 4, 25}} {
		n := figuresNow{Stats: ledger.Stats{Waiting: test.waiting, MinuteRate: test.rate}}
		if got := n.drainTime(); got != test.want && !(math.IsNaN(got) && math.IsNaN(test.want)) {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestNothingIsCountedThatNobodyWants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if b.server.metrics != nil {
		t.Error("there are metrics without a registry")
	}
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	t.Parallel()
	c := setupCounted(t, options{})
	if err := c.server.openMetrics(); err == nil {
		t.Error("registered twice")
	}
}

func TestWhatRanWhenTheApiDiedIsCounted(t *testing.T) {
	t.Parallel()
	c := setupCounted(t, options{})
	submission := func(id string, safe bool) ledger.Submission {
		return ledger.Submission{
			ID: id, Space: "default", ConnectorID: "a", ConnectorName: "a", Type: ".index", MaxAttempts: 3, Safe: safe, Params: []byte(`{}`),
		}
	}
	accepted, err := c.server.ledger.Accept(t.Context(), []ledger.Submission{submission("safe", true), submission("unsafe", false), submission("also", false)})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accepted {
		if jobs, err := c.server.ledger.Claim(t.Context(), []int64{a.Execution.Seq}, time.Now()); err != nil || len(jobs) != 1 {
			t.Fatalf("%d claimed, %v", len(jobs), err)
		}
	}
	direct := submission("waited-for", false)
	direct.Key = "key"
	if _, err := c.server.ledger.Begin(t.Context(), direct); err != nil {
		t.Fatal(err)
	}
	if err := c.server.closeLedger(); err != nil { // as a kill would: nothing ended
		t.Fatal(err)
	}
	if err := c.server.openLedger(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.want(map[string]string{
		`patchbay_recovered_total{state="queued"}`:  "1",
		`patchbay_recovered_total{state="dead"}`:    "2",
		`patchbay_recovered_total{state="unknown"}`: "1",
		"patchbay_dead_letters_total":               "2",
	}, "patchbay_recovered", "patchbay_dead_letters")
}

// An attempt that was called off may have been run, and is no reason to look for workers.
func TestAttemptThatIsCalledOffIsCounted(t *testing.T) {
	t.Parallel()
	c := setupCounted(t, options{})
	run := c.server.metrics.counting(func(context.Context, *ledger.Job) (wire.Reply, error) {
		return wire.Reply{}, fmt.Errorf("wait for the worker: %w", context.Canceled)
	})
	if _, err := run(t.Context(), &ledger.Job{Execution: ledger.Execution{Type: ".index"}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	c.want(map[string]string{`patchbay_queue_attempts_total{outcome="cancelled",type=".index"}`: "1"},
		"patchbay_queue_attempts", "patchbay_executions_not_run")
}

func TestDurationsReachBeyondTheTimeThatAnExecutionHas(t *testing.T) {
	t.Parallel()
	if first, last := durations[0], durations[len(durations)-1]; first > .0005 || last <= 60 || !slices.IsSorted(durations) {
		t.Errorf("buckets %v", durations)
	}
}
