package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/nats-io/nats.go"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/api/store"
	"patchbay.dev/shared/wire"
)

const executeLog = `{"params":{"message":"hello"}}`

// wantExecutionHeaders sees that an answer has a new execution id and an outcome.
func wantExecutionHeaders(t *testing.T, got answer, outcome string) {
	t.Helper()
	id, err := uuid.Parse(got.header.Get("Patchbay-Execution-Id"))
	if err != nil || id.Version() != 7 {
		t.Errorf("Patchbay-Execution-Id %q, want a UUID version 7", got.header.Get("Patchbay-Execution-Id"))
	}
	if got := got.header.Values("Patchbay-Outcome"); !cmp.Equal(got, []string{outcome}) {
		t.Errorf("Patchbay-Outcome %q, want %q", got, outcome)
	}
}

func TestExecuteAnswersWithTheResult(t *testing.T) {
	t.Parallel()
	failure := func(f wire.Failure) wire.Reply { return wire.Reply{Failure: &f} }
	tests := map[string]struct {
		reply   wire.Reply
		want    string
		outcome string
	}{
		"nothing":       {wire.Reply{}, `{"connector_id":"a","status":"ok"}`, "ok"},
		"data":          {wire.Reply{Data: []byte(`{"took":30,"items":[{"n":1e400}],"errors":false}`)}, `{"connector_id":"a","status":"ok","data":{"took":30,"items":[{"n":1e400}],"errors":false}}`, "ok"},
		"array as data": {wire.Reply{Data: []byte(`[{"id":1}]`)}, `{"connector_id":"a","status":"ok","data":[{"id":1}]}`, "ok"},
		"message alone": {
			failure(wire.Failure{Message: "no", Source: wire.User}),
			`{"connector_id":"a","status":"error","message":"no","errorSource":"user"}`, "error",
		},
		"never again": {
			failure(wire.Failure{Message: "error validating action params: [x]: y", Retry: wire.RetryNever(), Source: wire.User}),
			`{"connector_id":"a","status":"error","message":"error validating action params: [x]: y","retry":false,"errorSource":"user"}`, "error",
		},
		"later": {
			failure(wire.Failure{Message: "no", ServiceMessage: "down <&>", Retry: wire.RetryLater(), Source: wire.Framework}),
			`{"connector_id":"a","status":"error","message":"no","service_message":"down <&>","retry":true,"errorSource":"framework"}`, "error",
		},
		"at a time": {
			failure(wire.Failure{Message: "no", Retry: wire.RetryAt(time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)), Source: wire.User}),
			`{"connector_id":"a","status":"error","message":"no","retry":"2026-01-02T03:04:05.678Z","errorSource":"user"}`, "error",
		},
		"unknown": {
			failure(wire.Failure{Message: "no", ServiceMessage: "the outcome is unknown: cut", Retry: wire.RetryNever(), Source: wire.Framework, Unknown: true}),
			`{"connector_id":"a","status":"error","message":"no","service_message":"the outcome is unknown: cut","retry":false,"errorSource":"framework"}`, "unknown",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.create("a", serverLogBody)
			b.work(".server-log", func(wire.Request, nats.Header) wire.Reply { return test.reply })
			got := b.send("POST", "/api/actions/connector/a/_execute", executeLog)
			b.wantAnswer(got, http.StatusOK, test.want)
			wantExecutionHeaders(t, got, test.outcome)
		})
	}
}

// Every JSON value is data, even those that Kibana's description leaves out.
func TestExecuteCarriesAnyData(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.spec.kibana = nil
	b.create("a", serverLogBody)
	b.work(".server-log", func(r wire.Request, _ nats.Header) wire.Reply {
		var params struct{ Message json.RawMessage }
		if err := json.Unmarshal(r.Params, &params); err != nil {
			t.Error(err)
		}
		return wire.Reply{Data: params.Message}
	})
	for _, data := range []string{`"text"`, `7`, `false`, `[]`, `[1,"a",null]`, `{"a":{"b":1.50}}`} {
		got := b.sendBad("POST", "/api/actions/connector/a/_execute", `{"params":{"message":`+data+`}}`)
		if want := `{"connector_id":"a","status":"ok","data":` + data + `}`; got.body != want {
			t.Errorf("body %s, want %s", got.body, want)
		}
	}
}

func TestLargeAnswersTellTheirLength(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	data := `{"a":"` + strings.Repeat("a", 8<<10) + `"}`
	b.work(".server-log", func(wire.Request, nats.Header) wire.Reply { return wire.Reply{Data: []byte(data)} })
	for range 3 { // in memory that was used before
		got := b.send("POST", "/api/actions/connector/a/_execute", executeLog)
		want := `{"connector_id":"a","status":"ok","data":` + data + `}`
		b.wantAnswer(got, http.StatusOK, want)
		if length := got.header.Get("Content-Length"); length != strconv.Itoa(len(want)) {
			t.Errorf("Content-Length %q, want %d", length, len(want))
		}
	}
}

func TestExecuteSendsTheConnectorToAWorker(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{preconfigured: `
preconfigured:
  p: {name: Pre, actionTypeId: .index, config: {index: pre}}
`})
	b.must(b.send("POST", "/s/ops/api/actions/connector/a", indexBody), http.StatusOK)
	requests := make(chan wire.Request, 1)
	b.work(".index", func(r wire.Request, _ nats.Header) wire.Reply { requests <- r; return wire.Reply{} })
	config := func(index string) json.RawMessage {
		return json.RawMessage(`{"index":"` + index + `","refresh":false,"executionTimeField":null}`)
	}
	const params = `{"documents":[ {"b":1.50,"a":"\u00e4"} ]}` // arrives byte for byte
	for _, test := range []struct {
		id   string
		want wire.Connector
	}{
		{"a", wire.Connector{ID: "a", Type: ".index", Name: "Alerts", Version: 1, Config: config("alerts")}},
		{"p", wire.Connector{ID: "p", Type: ".index", Name: "Pre", Version: 1, Config: config("pre"), Preconfigured: true}},
	} {
		answer := b.must(b.send("POST", "/s/ops/api/actions/connector/"+test.id+"/_execute", `{"params": `+params+` }`), http.StatusOK)
		b.wantAnswer(answer, http.StatusOK, `{"connector_id":"`+test.id+`","status":"ok"}`)
		got := <-requests
		if left := time.Duration(got.TimeLeft); left <= 0 || left > 10*time.Second {
			t.Errorf("time left %s", left)
		}
		got.TimeLeft = 0
		want := wire.Request{
			ExecutionID: answer.header.Get("Patchbay-Execution-Id"), Space: "ops", Connector: test.want,
			Params: json.RawMessage(params),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
	}
}

func TestExecuteCarriesTraceContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	headers := make(chan nats.Header, 1)
	b.work(".server-log", func(_ wire.Request, h nats.Header) wire.Reply { headers <- h; return wire.Reply{} })
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	tests := map[string]struct {
		edit func(http.Header)
		want nats.Header
	}{
		"none":   {func(http.Header) {}, nil},
		"parent": {func(h http.Header) { h.Set("traceparent", parent) }, nats.Header{"traceparent": {parent}}},
		"state in parts": {
			func(h http.Header) {
				h.Set("Traceparent", parent)
				h.Add("Tracestate", "a=1")
				h.Add("Tracestate", "b=2")
			},
			nats.Header{"traceparent": {parent}, "tracestate": {"a=1,b=2"}},
		},
		"state alone":   {func(h http.Header) { h.Set("Tracestate", "a=1") }, nil},
		"credentials":   {func(h http.Header) { h.Set("Authorization", "Bearer x"); h.Set("Cookie", "x") }, nil},
		"reserved name": {func(h http.Header) { h.Set("Patchbay-Signal", "busy"); h.Set("Status", "503") }, nil},
	}
	for name, test := range tests {
		b.must(b.send("POST", "/api/actions/connector/a/_execute", executeLog, func(r *http.Request) { test.edit(r.Header) }), http.StatusOK)
		if diff := cmp.Diff(test.want, <-headers); diff != "" {
			t.Errorf("%s: NATS headers (-want +got):\n%s", name, diff)
		}
	}
}

func TestExecuteSeesTheLastUpdate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", indexBody)
	b.work(".index", func(r wire.Request, _ nats.Header) wire.Reply {
		return wire.Reply{Data: fmt.Appendf(nil, `{"version":%d,"config":%s}`, r.Connector.Version, r.Connector.Config)}
	})
	for version := 1; version <= 50; version++ {
		index := "alerts"
		if version > 1 {
			index = fmt.Sprintf("alerts-%d", version)
			b.must(b.send("PUT", "/api/actions/connector/a", `{"name":"x","config":{"index":"`+index+`"}}`), http.StatusOK)
		}
		b.wantAnswer(b.send("POST", "/api/actions/connector/a/_execute", `{"params":{"documents":[]}}`), http.StatusOK, fmt.Sprintf(
			`{"connector_id":"a","status":"ok","data":{"version":%d,"config":{"index":%q,"refresh":false,"executionTimeField":null}}}`, version, index))
	}
	b.must(b.send("DELETE", "/api/actions/connector/a", ""), http.StatusNoContent)
	got := b.send("POST", "/api/actions/connector/a/_execute", `{"params":{"documents":[]}}`)
	b.wantError(got, http.StatusNotFound, "Saved object [action/a] not found")
}

func TestExecuteRefusals(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{preconfigured: oneServerLog, maxPayload: 64 << 10})
	b.create("a", serverLogBody)
	b.store(store.Connector{ID: "gone-type", Type: ".gone", Name: "x", Config: json.RawMessage(`{}`)})
	large := `{"params":{"message":"` + strings.Repeat("x", 64<<10) + `"}}`
	tests := []struct {
		id, body string
		status   int
		message  string
	}{
		{"a", ``, 400, "[request body]: expected a plain object value, but found [null] instead."},
		{"a", `{`, 400, "Invalid request payload JSON format: unexpected end of JSON input (byte 1)"},
		{"a", `{}`, 400, "[request body.params]: expected value of type [object] but got [undefined]"},
		{"a", `{"params":null}`, 400, "[request body.params]: expected value of type [object] but got [null]"},
		{"a", `{"params":[]}`, 400, "[request body.params]: expected value of type [object] but got [Array]"},
		{"a", `{"params":{},"foo":1}`, 400, "[request body.foo]: definition for this key is missing"},
		{"none", `{}`, 400, "[request body.params]: expected value of type [object] but got [undefined]"},
		{"none", executeLog, 404, "Saved object [action/none] not found"},
		{"gone-type", executeLog, 400, `Action type ".gone" is not registered.`},
		{"a", executeLog, 503, "No worker is running for this connector type. Nothing was run."},
		{"log", executeLog, 503, "No worker is running for this connector type. Nothing was run."},
	}
	for _, test := range tests {
		got := b.sendBad("POST", "/api/actions/connector/"+test.id+"/_execute", test.body)
		b.wantError(got, test.status, test.message)
		wantExecutionHeaders(t, got, "error")
		if after := got.header.Get("Retry-After"); (after == "1") != (test.status == 503) {
			t.Errorf("%d: Retry-After %q", test.status, after)
		}
	}
	got := b.must(b.send("POST", "/api/actions/connector/a/_execute", large), http.StatusRequestEntityTooLarge)
	wantExecutionHeaders(t, got, "error")
	if message := b.field(got, "message"); !strings.Contains(message, "max_payload is 65536") || !strings.Contains(message, "Nothing was run.") {
		t.Errorf("message %q", message)
	}
}

func TestExecuteWithoutBrokerIsUnavailable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	b.stopBroker()
	got := b.send("POST", "/api/actions/connector/a/_execute", executeLog)
	b.wantError(got, http.StatusServiceUnavailable, "The broker cannot be reached. Nothing was run.")
	wantExecutionHeaders(t, got, "error")
}

func TestExecuteWithBusyWorkersIsUnavailable(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{routes: func(e *echo.Echo) {
		e.POST("/busy/_execute", func(echo.Context) error { return fmt.Errorf("ask: %w", dispatch.ErrBusy) })
	}})
	got := b.sendBad("POST", "/busy/_execute", executeLog)
	b.wantError(got, http.StatusServiceUnavailable, "All workers for this connector type were busy until the time limit. Nothing was run.")
	wantExecutionHeaders(t, got, "error")
	if after := got.header.Get("Retry-After"); after != "1" {
		t.Errorf("Retry-After %q", after)
	}
}

func TestExecuteWithoutAnAnswerInTimeIsUnknown(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{timeout: 50 * time.Millisecond})
	b.create("a", serverLogBody)
	b.subscribe(".server-log", func(*nats.Msg) {})
	got := b.send("POST", "/api/actions/connector/a/_execute", executeLog)
	b.wantAnswer(got, http.StatusOK, `{"connector_id":"a","status":"error","message":"an error occurred while running the action",
		"service_message":"the outcome is unknown: time was up before the worker answered, and it may have been carried out",
		"retry":false,"errorSource":"framework"}`)
	wantExecutionHeaders(t, got, "unknown")
}
