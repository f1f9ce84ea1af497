package api

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"patchbay.dev/api/access"
	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

func withKey(key string) func(*http.Request) { return header("Idempotency-Key", key) }

// counted answers every execution with a number of its own.
func (b *bundle) counted(typeID string, answer func(n int, r wire.Request) wire.Reply) (count func() int) {
	b.Helper()
	runs := make(chan int, 1)
	runs <- 0
	b.work(typeID, func(r wire.Request, _ nats.Header) wire.Reply {
		n := <-runs + 1
		runs <- n
		return answer(n, r)
	})
	return func() int { n := <-runs; runs <- n; return n }
}

func TestSameKeyIsOneExecution(t *testing.T) {
	t.Parallel()
	for name, pair := range map[string][2]string{
		"sync, sync":   {"", ""},
		"async, async": {"respond-async, wait=10", "respond-async"},
		"async, sync":  {"respond-async, wait=10", ""},
		"sync, async":  {"", "respond-async"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupWith(t, options{queue: true})
			b.create("a", serverLogBody)
			count := b.counted(".server-log", func(n int, _ wire.Request) wire.Reply {
				return wire.Reply{Data: []byte(`{"n":` + string(rune('0'+n)) + `}`), Worker: "w"}
			})
			const want = `{"connector_id":"a","status":"ok","data":{"n":1}}`
			execute := func(preference, key string) answer {
				return b.send("POST", executeA, executeLog, withKey(key), func(r *http.Request) {
					if preference != "" {
						r.Header.Set("Prefer", preference)
					}
				})
			}
			first := execute(pair[0], "k 1")
			b.wantAnswer(first, http.StatusOK, want)
			wantExecutionHeaders(t, first, "ok")
			second := execute(pair[1], `"k 1"`) // as the draft quotes it
			b.wantAnswer(second, http.StatusOK, want)
			got := []string{
				first.header.Get(headerReplayed), second.header.Get(headerReplayed),
				second.header.Get(headerOutcome), second.header.Get(headerExecutionID),
			}
			if diff := cmp.Diff([]string{"", "true", "ok", first.header.Get(headerExecutionID)}, got); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			if n := count(); n != 1 {
				t.Errorf("run %d times", n)
			}
		})
	}
}

func TestSameKeyWithOtherParamsIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	b.create("b", serverLogBody)
	b.must(b.send("POST", "/s/ops/api/actions/connector/c", serverLogBody), http.StatusOK)
	b.work(".server-log", func(wire.Request, nats.Header) wire.Reply { return wire.Reply{} })
	b.must(b.send("POST", executeA, executeLog, withKey("k")), http.StatusOK)
	for _, body := range []string{`{"params":{"message":"other"}}`, `{"params":{ "message":"hello"}}`} { // white space is bytes, too
		for _, preference := range []string{"handling=lenient", "respond-async"} {
			got := b.send("POST", executeA, body, edits(withKey("k"), prefer(preference)))
			b.wantError(got, http.StatusUnprocessableEntity, "The Idempotency-Key was used for this connector with other params, or by a caller with another reach. Nothing was run.")
			wantExecutionHeaders(t, got, "error")
		}
	}
	// Outside of the params it is not; and a key is one of a connector.
	for _, path := range []string{executeA, "/api/actions/connector/b/_execute", "/s/ops/api/actions/connector/c/_execute"} {
		got := b.must(b.send("POST", path, ` { "params": {"message":"hello"}}`, withKey("k")), http.StatusOK)
		if replayed := got.header.Get(headerReplayed); (replayed == "true") != (path == executeA) {
			t.Errorf("%s: replayed %q", path, replayed)
		}
	}
}

func TestKeyJoinsTheExecutionInFlight(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{"sync": "handling=lenient", "async": "respond-async"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupWith(t, options{queue: true})
			b.create("a", serverLogBody)
			taken, release := b.held(".server-log")
			firsts, joined := make(chan answer, 1), make(chan answer, 3)
			go func() { firsts <- b.send("POST", executeA, executeLog, edits(withKey("k"), prefer(first))) }()
			await(t, taken)
			for range cap(joined) {
				go func() { joined <- b.send("POST", executeA, executeLog, withKey("k")) }()
			}
			// They are there when nobody has answered them, and all wait for the same.
			later := b.send("POST", executeA, executeLog, edits(withKey("k"), prefer("respond-async")))
			if name == "sync" { // a 202 would promise what nobody does: it is for who waits
				b.wantError(later, http.StatusConflict, "The execution with this Idempotency-Key has not ended yet. Ask again for its answer.")
			} else if status := b.field(b.must(later, http.StatusAccepted), "status"); status != "running" {
				t.Errorf("status %q", status)
			}
			close(release)
			id := await(t, firsts).header.Get(headerExecutionID)
			for range cap(joined) {
				got := await(t, joined)
				b.wantAnswer(got, http.StatusOK, `{"connector_id":"a","status":"ok"}`)
				if got.header.Get(headerReplayed) != "true" || got.header.Get(headerExecutionID) != id {
					t.Errorf("headers %v, want those of %s", got.header, id)
				}
			}
			if len(taken) > 0 {
				t.Error("run more than once")
			}
		})
	}
}

// A client that tries again sends all of its headers again.
func TestKeyCountsBeforeTheExecutionID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	count := b.counted(".server-log", func(int, wire.Request) wire.Reply { return wire.Reply{Worker: "w"} })
	under := edits(withKey("k"), header("Patchbay-Execution-Id", "e"))
	first := b.must(b.send("POST", executeA, executeLog, under), http.StatusOK)
	b.wantAnswer(b.send("POST", executeA, executeLog, under), http.StatusOK, first.body)
	b.wantAnswer(b.send("POST", executeA, executeLog, edits(under, prefer("respond-async"))), http.StatusOK, first.body)
	b.must(b.send("POST", executeA, `{"params":{"message":"other"}}`, under), http.StatusUnprocessableEntity)
	b.must(b.send("POST", executeA, executeLog, edits(under, withKey("other"))), http.StatusConflict)
	if n := count(); n != 1 {
		t.Errorf("run %d times", n)
	}
}

func TestKeyThatIsStillRunningIsAConflictWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{timeout: 300 * time.Millisecond})
	b.create("a", serverLogBody)
	first := b.send("POST", executeA, executeLog, edits(withKey("k"), prefer("respond-async"))) // nobody runs it
	got := b.send("POST", executeA, executeLog, withKey("k"))
	b.wantError(got, http.StatusConflict, "The execution with this Idempotency-Key has not ended yet. Ask again for its answer.")
	if got.header.Get("Retry-After") != "1" || got.header.Get(headerExecutionID) != first.header.Get(headerExecutionID) {
		t.Errorf("headers %v", got.header)
	}
	wantExecutionHeaders(t, got, "error")
}

// What is not final is run again under the same key and id, as its next attempt.
func TestKeyIsRunAgainIfItsAnswerIsNotFinal(t *testing.T) {
	t.Parallel()
	failure := func(f wire.Failure) wire.Reply { return wire.Reply{Failure: &f, Worker: "w"} }
	for name, test := range map[string]struct {
		first wire.Reply
		again bool
	}{
		"refused":                {failure(wire.Failure{Message: "no", Source: wire.User, Retry: wire.RetryNever()}), false},
		"failed":                 {failure(wire.Failure{Message: "no", Source: wire.User}), false},
		"failed, later":          {failure(wire.Failure{Message: "no", Source: wire.User, Retry: wire.RetryLater()}), true},
		"failed, at a date":      {failure(wire.Failure{Message: "no", Source: wire.User, Retry: wire.RetryAt(time.Now())}), true},
		"unknown of a safe type": {failure(wire.Failure{Message: "no", Source: wire.User, Retry: wire.RetryNever(), Unknown: true}), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.create("a", indexBody)
			ids := make(chan wire.Request, 2)
			b.counted(".index", func(n int, r wire.Request) wire.Reply {
				ids <- r
				if n == 1 {
					return test.first
				}
				return wire.Reply{Worker: "w"}
			})
			const params = `{"params":{"documents":[{"a":1}]}}`
			first := b.must(b.send("POST", executeA, params, withKey("k")), http.StatusOK)
			second := b.must(b.send("POST", executeA, params, withKey("k")), http.StatusOK)
			if replayed := second.header.Get(headerReplayed) == "true"; replayed == test.again {
				t.Errorf("replayed %t", replayed)
			}
			if !test.again {
				b.wantAnswer(second, http.StatusOK, first.body)
				return
			}
			b.wantAnswer(second, http.StatusOK, `{"connector_id":"a","status":"ok"}`)
			for want := 1; want <= 2; want++ {
				if r := <-ids; r.Attempt != want || r.ExecutionID != first.header.Get(headerExecutionID) || !r.Given {
					t.Errorf("attempt %d of %s, given %t; want %d", r.Attempt, r.ExecutionID, r.Given, want)
				}
			}
		})
	}
}

func TestKeyOfWhatWasNotRunIsFreeToRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	b.wantError(b.send("POST", executeA, executeLog, withKey("k")), http.StatusServiceUnavailable,
		"No worker is running for this connector type. Nothing was run.")
	count := b.counted(".server-log", func(int, wire.Request) wire.Reply { return wire.Reply{Worker: "w"} })
	b.must(b.send("POST", executeA, executeLog, withKey("k")), http.StatusOK)
	b.must(b.send("POST", executeA, executeLog, withKey("k")), http.StatusOK)
	if n := count(); n != 1 {
		t.Errorf("run %d times", n)
	}
}

// Who waited for one that was given up runs it, instead of hearing that it was.
func TestWhoJoinedRunsWhatWasGivenUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	taken, release := b.held(".server-log")
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+executeA, strings.NewReader(executeLog))
		if err != nil {
			left <- err
			return
		}
		request.Header.Set("Idempotency-Key", "k")
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
		}
		left <- err
	}()
	await(t, taken)
	joined := make(chan answer, 1)
	go func() { joined <- b.send("POST", executeA, executeLog, withKey("k")) }()
	leave()
	if err := await(t, left); err == nil {
		t.Error("the first got an answer")
	}
	await(t, taken)
	close(release)
	got := await(t, joined)
	b.wantAnswer(got, http.StatusOK, `{"connector_id":"a","status":"ok"}`)
	if got.header.Get(headerReplayed) != "" {
		t.Error("it is told to be from before")
	}
}

// What an operator has discarded is not run by who waited for it.
func TestOnlyWhatACallerGaveUpIsTakenOver(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		execution ledger.Execution
		want      bool
	}{
		{ledger.Execution{State: ledger.Done, Outcome: ledger.Cancelled}, true},
		{ledger.Execution{State: ledger.Done, Outcome: wire.Error}, true}, // no worker
		{ledger.Execution{State: ledger.Done, Outcome: wire.Error, Attempt: ledger.Attempt{Worker: "w"}}, false},
		{ledger.Execution{State: ledger.Done, Outcome: wire.OK}, false},
		{ledger.Execution{State: ledger.Done, Outcome: wire.Unknown}, false},
		{ledger.Execution{State: ledger.Done, Outcome: ledger.Cancelled, Durable: true}, false},
		{ledger.Execution{State: ledger.Dead, Outcome: wire.Error, Durable: true}, false},
	} {
		if got := left(&test.execution); got != test.want {
			t.Errorf("%+v: %t, want %t", test.execution, got, test.want)
		}
	}
}

func TestKeyOfInvalidParams(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	refusal := wire.Failure{Message: "error validating action params: [message]: x", Source: wire.User, Retry: wire.RetryNever()}
	b.work(".server-log", func(wire.Request, nats.Header) wire.Reply { return wire.Reply{Failure: &refusal} })
	for range 2 { // the worker says so, as without a key
		b.wantAnswer(b.sendBad("POST", executeA, `{"params":{}}`, withKey("k")), http.StatusOK,
			`{"connector_id":"a","status":"error","message":"error validating action params: [message]: x","retry":false,"errorSource":"user"}`)
	}
}

func TestMalformedKeysAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	b.work(".server-log", func(wire.Request, nats.Header) wire.Reply { return wire.Reply{} })
	const message = "[request headers.idempotency-key]: 1 to 255 printable ASCII characters are expected"
	for _, values := range [][]string{{""}, {`""`}, {strings.Repeat("k", 256)}, {"é"}, {"a\tb"}, {"a", "b"}} {
		got := b.sendBad("POST", executeA, executeLog, func(r *http.Request) { r.Header["Idempotency-Key"] = values })
		b.wantError(got, http.StatusBadRequest, message)
	}
	for _, key := range []string{strings.Repeat("k", 255), "~ !", `"a\"b"`, `"`} {
		b.must(b.send("POST", executeA, executeLog, withKey(key)), http.StatusOK)
	}
}

// An execution that cannot be recognised again is refused; others go on.
func TestWithoutALedgerOnlyPlainExecutionsGoOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	b.work(".server-log", func(wire.Request, nats.Header) wire.Reply { return wire.Reply{} })
	b.fillLedger()
	const full = "The disk is full: nothing can be kept. Nothing was run."
	for _, edit := range []func(*http.Request){withKey("k"), prefer("respond-async")} {
		got := b.send("POST", executeA, executeLog, edit)
		b.wantError(got, http.StatusInsufficientStorage, full)
		wantExecutionHeaders(t, got, "error")
	}
	b.wantAnswer(b.send("POST", executeA, executeLog), http.StatusOK, `{"connector_id":"a","status":"ok"}`)
	b.wantAnswer(b.send("GET", "/readyz", ""), http.StatusOK, `{"status":"ok"}`)
	b.wantAnswer(b.sendLines(`{"id":"a","params":{"message":"m"}}`), http.StatusOK,
		`{"line":1,"connector_id":"a","status":"refused","error":`+envelope(http.StatusInsufficientStorage, full)+`}`)
	if err := b.server.ledger.Flush(t.Context()); err == nil {
		t.Error("the ledger could be written")
	}
}

// Nobody gets an answer, or a refusal, that depends on what another caller may reach.
func TestKeyOfACallerWithAnotherReachIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	b.work(".server-log", func(wire.Request, nats.Header) wire.Reply { return wire.Reply{} })
	all := b.key(access.Privileges{Read: []string{"*"}})
	limited := b.key(access.Privileges{Read: []string{"*"}, Indices: []string{"a-*"}})
	same := b.key(access.Privileges{Read: []string{"*"}, Indices: []string{"a-*"}})
	b.must(b.send("POST", executeA, executeLog, edits(withKey("k"), limited)), http.StatusOK)
	b.must(b.send("POST", executeA, executeLog, edits(withKey("k"), same)), http.StatusOK)
	for _, preference := range []string{"handling=lenient", "respond-async"} {
		b.must(b.send("POST", executeA, executeLog, edits(withKey("k"), all, prefer(preference))), http.StatusUnprocessableEntity)
	}
}

// An id of a submission that was taken would make the submission seem to have come
// before.
func TestIDsOfSubmissionsAreReserved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	b.wantError(b.send("POST", executeA, executeLog, header("Patchbay-Execution-Id", "submitted-x-1")), http.StatusBadRequest,
		"[request headers.patchbay-execution-id]: what begins with submitted- is the id of a submission")
}
