package api

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

// Whatever was dispatched, or refused by dispatch, is in the log as its caller heard it.
func TestEveryExecutionIsLogged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	b.create("i", indexBody)
	b.counted(".server-log", func(n int, _ wire.Request) wire.Reply {
		return []wire.Reply{
			{Data: []byte(`{}`), Worker: "w-1", RunMicros: 50},
			{Failure: &wire.Failure{Message: "no", ServiceMessage: "busy", Retry: wire.RetryLater(), Source: wire.User}, Worker: "w-2", RunMicros: 70},
		}[n-1]
	})
	trace := header("traceparent", parent)
	var ids []string
	for _, path := range []string{executeA, executeA} {
		ids = append(ids, b.must(b.send("POST", path, executeLog, trace), http.StatusOK).header.Get(headerExecutionID))
	}
	got := b.must(b.send("POST", "/api/actions/connector/i/_execute", `{"params":{"documents":[]}}`), http.StatusServiceUnavailable)
	ids = append(ids, got.header.Get(headerExecutionID))
	b.must(b.send("POST", "/api/actions/connector/none/_execute", executeLog), http.StatusNotFound) // nothing of it was dispatched
	if err := b.server.ledger.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	log := ledger.Execution{ConnectorID: "a", ConnectorName: "Log", Type: ".server-log", Bytes: 19, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736"}
	index := ledger.Execution{ConnectorID: "i", ConnectorName: "Alerts", Type: ".index", Bytes: 16}
	var want, logged []ledger.Execution
	for i, attempt := range []ledger.Attempt{
		{Run: 50 * time.Microsecond, Outcome: wire.OK, Worker: "w-1"},
		{Run: 70 * time.Microsecond, Outcome: wire.Error, Worker: "w-2",
			Failure: &wire.Failure{Message: "no", ServiceMessage: "busy", Retry: wire.RetryLater(), Source: wire.User}},
		{Outcome: wire.Error, Failure: &wire.Failure{
			Message: "No worker is running for this connector type. Nothing was run.", Retry: wire.RetryLater(), Source: wire.Framework,
		}},
	} {
		attempt.Number, attempt.Last = 1, true
		e := []ledger.Execution{log, log, index}[i]
		e.ID, e.Space, e.State, e.Outcome, e.MaxAttempts, e.Attempt = ids[i], "default", ledger.Done, attempt.Outcome, 1, attempt
		want = append(want, e)
	}
	page, err := b.server.ledger.List(t.Context(), ledger.Filter{}, ledger.Sort{By: "created_at", Ascending: true}, 10, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range page.Executions {
		if e.Attempt.Dispatch < 0 || e.Attempt.Dispatch > 10*time.Second || e.EndedAt.Before(e.CreatedAt) || time.Since(e.CreatedAt) > time.Minute {
			t.Errorf("times of %+v", e)
		}
		logged = append(logged, e)
	}
	times := cmp.Options{
		cmpopts.IgnoreTypes(time.Time{}), cmpopts.IgnoreFields(ledger.Execution{}, "Seq"), cmpopts.IgnoreFields(ledger.Attempt{}, "Dispatch"),
		cmp.Comparer(func(a, b wire.Retry) bool { return a == b }),
	}
	if diff := cmp.Diff(want, logged, times); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestExecutionLogCanBeOff(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{config: func(c *Config) { c.LogOff = true }})
	b.create("a", serverLogBody)
	b.counted(".server-log", func(int, wire.Request) wire.Reply { return wire.Reply{} })
	b.must(b.send("POST", executeA, executeLog), http.StatusOK)
	kept := b.must(b.send("POST", executeA, executeLog, withKey("k")), http.StatusOK).header.Get(headerExecutionID)
	if ids, _ := b.executions("", ""); !cmp.Equal(ids, []string{kept}) { // a key must be remembered
		t.Errorf("in the log: %v, want %s", ids, kept)
	}
}

func TestCancelledExecutionIsLoggedAsSuch(t *testing.T) {
	t.Parallel()
	started := time.Now()
	got := attemptOf(&wire.Request{Attempt: 2}, started, wire.Reply{}, context.Canceled)
	if got.Outcome != ledger.Cancelled || got.Failure != nil || got.Number != 2 || !got.Last {
		t.Errorf("%+v", got)
	}
}

func TestTraceIDIsOneOfTheStandard(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		parent:                                "4bf92f3577b34da6a3ce929d0e0e4736",
		"":                                    "",
		"00-1-2-03":                           "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736": "",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-1-1": "",
		"00-4bf92f3577b34da6a3ce929d0e0e473<-1-1": "",
	} {
		if got := ledger.TraceID(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
