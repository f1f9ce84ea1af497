package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"patchbay.dev/api/access"
	"patchbay.dev/api/ledger"
	"patchbay.dev/api/queue"
	"patchbay.dev/api/store"
	"patchbay.dev/shared/wire"
)

const (
	executeA = "/api/actions/connector/a/_execute"
	parent   = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)

// edits are several changes of a request.
func edits(all ...func(*http.Request)) func(*http.Request) {
	return func(r *http.Request) {
		for _, edit := range all {
			edit(r)
		}
	}
}

func prefer(value string) func(*http.Request) { return header("Prefer", value) }

// ended waits until an execution has ended.
func (b *bundle) ended(space, id string) ledger.Execution {
	b.Helper()
	over, stop := b.server.ledger.Watch(space, id)
	defer stop()
	e, _, err := b.server.ledger.Get(b.Context(), space, id)
	if err == nil && !ended(&e) {
		await(b.T, over)
		e, _, err = b.server.ledger.Get(b.Context(), space, id)
	}
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// accepted is what a 202 says, and its headers must fit.
func (b *bundle) accepted(got answer, prefix string) acceptedBody {
	b.Helper()
	b.must(got, http.StatusAccepted)
	var body acceptedBody
	if err := json.Unmarshal([]byte(got.body), &body); err != nil {
		b.Fatal(err)
	}
	if id := got.header.Get(headerExecutionID); id != body.ExecutionID || id == "" {
		b.Errorf("header %q, body %q", id, body.ExecutionID)
	}
	if got, want := got.header.Get("Location"), prefix+"/api/actions/executions/"+body.ExecutionID; got != want {
		b.Errorf("Location %q, want %q", got, want)
	}
	if got.header.Get(headerOutcome) != "" {
		b.Errorf("an outcome before there is one: %q", got.header.Get(headerOutcome))
	}
	return body
}

// 202 is given without any worker or stream: it depends on the disk alone.
func TestAsyncExecuteIsAcceptedToDisk(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ create, execute, prefix, key string }{
		"modern":   {"/api/actions/connector/a", executeA, "", "connector_id"},
		"legacy":   {"/api/actions/connector/a", "/api/actions/action/a/_execute", "", "connector_id"},
		"in space": {"/s/ops/api/actions/connector/a", "/s/ops" + executeA, "/s/ops", "connector_id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.must(b.send("POST", test.create, serverLogBody), http.StatusOK)
			got := b.send("POST", test.execute, executeLog, edits(prefer("respond-async"), header("traceparent", parent)))
			body := b.accepted(got, test.prefix)
			if want := (acceptedBody{body.ExecutionID, "a", ledger.Queued, "disk"}); body != want {
				t.Errorf("%+v, want %+v", body, want)
			}
			if got := got.header.Get("Preference-Applied"); got != "respond-async" {
				t.Errorf("Preference-Applied %q", got)
			}
			space := strings.TrimPrefix(either(test.prefix, "/s/default"), "/s/")
			e, attempts, err := b.server.ledger.Get(t.Context(), space, body.ExecutionID)
			if err != nil || len(attempts) > 0 {
				t.Fatal(attempts, err)
			}
			want := ledger.Execution{
				Seq: e.Seq, ID: body.ExecutionID, Space: space, ConnectorID: "a", ConnectorName: "Log", Type: ".server-log",
				Durable: true, State: ledger.Queued, CreatedAt: e.CreatedAt, QueuedAt: e.CreatedAt, DueAt: e.CreatedAt, MaxAttempts: 3, Bytes: 19,
				TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
			}
			if diff := cmp.Diff(want, e); diff != "" {
				t.Errorf("in the ledger (-want +got):\n%s", diff)
			}
		})
	}
}

func TestQueuedExecutionIsRunAsItIsAskedFor(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{queue: true})
	b.must(b.send("POST", "/s/ops/api/actions/connector/a", serverLogBody), http.StatusOK)
	type seen struct {
		request wire.Request
		header  nats.Header
	}
	requests := make(chan seen, 1)
	b.work(".server-log", func(r wire.Request, h nats.Header) wire.Reply {
		requests <- seen{r, h}
		return wire.Reply{Data: []byte(`{"a":[1]}`), Worker: "w-1", RunMicros: 1500}
	})
	key := b.key(access.Privileges{Read: []string{"ops"}, Indices: []string{"logs-*"}})
	got := b.send("POST", "/s/ops"+executeA, `{"params": {"message":"<&>"} }`,
		edits(key, prefer("respond-async, wait=10"), header("traceparent", parent), header("tracestate", "a=1")))
	b.wantAnswer(got, http.StatusOK, `{"connector_id":"a","status":"ok","data":{"a":[1]}}`)
	wantExecutionHeaders(t, got, "ok")
	if got := got.header.Get("Preference-Applied"); got != "respond-async, wait=10" {
		t.Errorf("Preference-Applied %q", got)
	}
	is := await(t, requests)
	is.request.TimeLeft = 0
	want := seen{
		wire.Request{
			ExecutionID: got.header.Get(headerExecutionID), Given: true, Attempt: 1, Space: "ops",
			Connector: wire.Connector{ID: "a", Type: ".server-log", Name: "Log", Version: 1, Config: []byte(`{}`)},
			Params:    []byte(`{"message":"<&>"}`), Access: &wire.Access{Key: is.request.Access.Key, Indices: []string{"logs-*"}},
		},
		nats.Header{"traceparent": {parent}, "tracestate": {"a=1"}},
	}
	if diff := cmp.Diff(want.request, is.request); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want.header["traceparent"], is.header["traceparent"]); diff != "" || is.header.Get("tracestate") != "a=1" {
		t.Errorf("headers %v", is.header)
	}
}

func TestWaitForAQueuedExecution(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{queue: true, timeout: 2 * time.Second})
	b.create("a", serverLogBody)
	taken, release := b.held(".server-log")
	for _, test := range []struct{ prefer, applied string }{
		{"respond-async, wait=0", "respond-async, wait=0"},
		{"respond-async, wait=x", "respond-async"},
		{"respond-async, wait=1", "respond-async, wait=1"},     // the worker takes longer
		{"respond-async, wait=86400", "respond-async, wait=2"}, // no longer than an execution may last
	} {
		began := time.Now()
		got := b.send("POST", executeA, executeLog, prefer(test.prefer))
		b.accepted(got, "")
		if got := got.header.Get("Preference-Applied"); got != test.applied {
			t.Errorf("%s: Preference-Applied %q, want %q", test.prefer, got, test.applied)
		}
		if took := time.Since(began); took < parsePrefer([]string{test.applied}).wait {
			t.Errorf("%s: answered after %s", test.prefer, took)
		}
	}
	await(t, taken)
	close(release)
}

// Who only waits is in nobody's way.
func TestWaitHoldsNoPlaceInTheLimits(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{maxInFlight: 1, maxRunning: 1, timeout: 10 * time.Second})
	b.create("a", serverLogBody)
	key := b.key(access.Privileges{Admin: true})
	waiting := make(chan answer, 1)
	go func() { waiting <- b.send("POST", executeA, executeLog, edits(key, prefer("respond-async, wait=5"))) }()
	for deadline := time.Now().Add(10 * time.Second); b.server.ledger.Stats().Queued == 0; {
		if time.Now().After(deadline) {
			t.Fatal("nothing was queued")
		}
	}
	got := b.send("POST", executeA, executeLog, edits(key, prefer("respond-async")))
	for deadline := time.Now().Add(5 * time.Second); got.status == http.StatusTooManyRequests && time.Now().Before(deadline); {
		got = b.send("POST", executeA, executeLog, edits(key, prefer("respond-async"))) // the first is about to give its place back
	}
	b.must(got, http.StatusAccepted)
	if len(waiting) > 0 {
		t.Error("the first did not wait")
	}
	close(b.server.stopping)
	b.must(await(t, waiting), http.StatusAccepted)
}

// Nothing is queued that can never succeed.
func TestAsyncExecuteRefusals(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{maxQueued: 3, perConnector: 2})
	b.create("a", serverLogBody)
	b.create("b", serverLogBody)
	b.create("c", serverLogBody)
	b.store(store.Connector{ID: "gone-type", Type: ".gone", Name: "x", Config: json.RawMessage(`{}`)})
	execute := func(id, body string, more ...func(*http.Request)) answer {
		return b.sendBad("POST", "/api/actions/connector/"+id+"/_execute", body, append(more, prefer("respond-async"))...)
	}
	full := "There are as many executions queued as there may be. Nothing was run."
	for _, test := range []struct {
		id, body string
		status   int
		message  string
	}{
		{"none", executeLog, 404, "Saved object [action/none] not found"},
		{"gone-type", executeLog, 400, `Action type ".gone" is not registered.`},
		{"a", `{"params":{}}`, 400, "error validating action params: [message]: expected value of type [string] but got [undefined]"},
		{"a", `{"params":{"message":"m","x":1}}`, 400, "error validating action params: [x]: definition for this key is missing"},
		{"a", executeLog, 202, ""},
		{"a", executeLog, 202, ""},
		{"a", executeLog, 429, "There are as many executions of this connector queued as there may be. Nothing was run."},
		{"b", executeLog, 202, ""},
		{"c", executeLog, 429, full},
	} {
		got := execute(test.id, test.body)
		if test.status == http.StatusAccepted {
			b.must(got, test.status)
			continue
		}
		b.wantError(got, test.status, test.message)
		wantExecutionHeaders(t, got, "error")
		if after := got.header.Get("Retry-After"); (after != "") != (test.status == 429) {
			t.Errorf("%d: Retry-After %q", test.status, after)
		}
	}
	if got := b.server.ledger.Stats().Queued; got != 3 {
		t.Errorf("%d queued", got)
	}
}

func TestAsyncExecuteUnderAnIdThatExistsIsAConflict(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	under := edits(prefer("respond-async"), header("Patchbay-Execution-Id", "alert-1"))
	if got := b.accepted(b.send("POST", executeA, executeLog, under), ""); got.ExecutionID != "alert-1" {
		t.Errorf("%+v", got)
	}
	b.wantError(b.send("POST", executeA, executeLog, under), http.StatusConflict, "There is an execution with this id. Nothing was run.")
	if got := b.server.ledger.Stats().Queued; got != 1 {
		t.Errorf("%d queued", got)
	}
}

func TestDurableRetriesAndBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{queue: true})
	b.create("a", serverLogBody)
	attempts := make(chan int, 10)
	b.work(".server-log", func(r wire.Request, _ nats.Header) wire.Reply {
		attempts <- r.Attempt
		return wire.Reply{Failure: &wire.Failure{Message: "no", ServiceMessage: "busy", Retry: wire.RetryLater(), Source: wire.User}}
	})
	id := b.accepted(b.send("POST", executeA, executeLog, prefer("respond-async")), "").ExecutionID
	e := b.ended("default", id)
	if e.State != ledger.Dead || e.Class != ledger.Exhausted || e.Attempt.Number != 3 || !e.Replayable {
		t.Errorf("%+v", e)
	}
	if got := []int{<-attempts, <-attempts, <-attempts}; !cmp.Equal(got, []int{1, 2, 3}) || len(attempts) > 0 {
		t.Errorf("attempts %v and %d more", got, len(attempts))
	}
}

func TestJobWhoseConnectorIsGoneSaysWhy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	b.store(store.Connector{ID: "gone-type", Type: ".gone", Name: "x", Config: json.RawMessage(`{}`)})
	for _, test := range []struct {
		space, id, typeID string
		want              *queue.Gone
	}{
		{"default", "none", ".server-log", &queue.Gone{Class: ledger.Deleted, Message: "Saved object [action/none] not found"}},
		{"ops", "a", ".server-log", &queue.Gone{Class: ledger.Deleted, Message: "Saved object [action/a] not found"}},
		{"default", "a", ".index", &queue.Gone{Class: ledger.Deleted, Message: `The connector was deleted, and its id is now that of a ".server-log" action.`}},
		{"default", "gone-type", ".gone", &queue.Gone{Class: ledger.Disabled, Message: `Action type ".gone" is not registered.`}},
	} {
		_, err := b.server.runJob(t.Context(), &ledger.Job{Execution: ledger.Execution{Space: test.space, ConnectorID: test.id, Type: test.typeID}})
		gone, _ := errors.AsType[*queue.Gone](err)
		if diff := cmp.Diff(test.want, gone); diff != "" {
			t.Errorf("%s in %s: %v (-want +got):\n%s", test.id, test.space, err, diff)
		}
	}
}
