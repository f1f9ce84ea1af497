package queue

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

func TestAcceptedExecutionIsRunAndEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	jobs := make(chan *ledger.Job, 1)
	b.run = func(_ context.Context, job *ledger.Job) (wire.Reply, error) {
		jobs <- job
		return wire.Reply{Data: json.RawMessage(`{"ok":true}`), Worker: "w1"}, nil
	}
	b.start()
	id := b.accept("c1", 1, func(s *ledger.Submission) { s.Traceparent, s.Safe = "00-1-2-03", true })[0]
	job := receive(t, jobs)
	got := []any{job.ID, job.Space, job.ConnectorID, job.Type, string(job.Params), job.Traceparent, job.Safe, job.Attempt.Number, job.State}
	want := []any{id, "default", "c1", ".index", `{"n":1}`, "00-1-2-03", true, 1, ledger.Running}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the job (-want +got):\n%s", diff)
	}
	e, attempts := b.wait(id)
	if e.State != ledger.Done || e.Outcome != wire.OK || len(attempts) != 1 || attempts[0].Worker != "w1" || !attempts[0].Last {
		t.Errorf("it ended as %+v after %+v", e, attempts)
	}
	if reply, err := b.ledger.Answer(t.Context(), &e); err != nil || string(reply.Data) != `{"ok":true}` {
		t.Errorf("its answer is %s, %v", reply.Data, err)
	}
}

// What stands in the table is run until it has ended; the answers come in turn, the
// last one for all further attempts.
func TestHowExecutionsEnd(t *testing.T) {
	t.Parallel()
	type answer struct {
		failure *wire.Failure
		err     error
	}
	retry := answer{failure: &wire.Failure{Message: "later", Retry: wire.RetryLater()}}
	unknown := answer{failure: &wire.Failure{Message: "unknown", Unknown: true, Retry: wire.RetryNever()}}
	silent := answer{failure: &wire.Failure{Message: "silent", Unknown: true, Silent: true, Retry: wire.RetryNever()}}
	ok := answer{}
	for name, tt := range map[string]struct {
		answers  []answer
		safe     bool
		class    ledger.Class
		attempts int
	}{
		"at the third attempt":              {[]answer{retry, retry, ok}, false, "", 3},
		"attempts used up":                  {[]answer{retry}, false, ledger.Exhausted, 3},
		"refused":                           {[]answer{retry, {failure: &wire.Failure{Message: "no"}}}, false, ledger.Refused, 2},
		"unknown, safe":                     {[]answer{unknown, ok}, true, "", 2},
		"unknown, not safe":                 {[]answer{unknown, ok}, false, ledger.Unknown, 1},
		"a worker died, safe":               {[]answer{silent, ok}, true, "", 2},
		"two workers died":                  {[]answer{silent, silent, ok}, true, ledger.Poison, 2},
		"two workers died, one was unknown": {[]answer{silent, unknown, silent}, true, ledger.Poison, 3},
		"too large":                         {[]answer{{err: &dispatch.TooLargeError{Size: 2, Limit: 1}}}, false, ledger.TooLarge, 1},
		"connector deleted":                 {[]answer{retry, {err: &Gone{Class: ledger.Deleted, Message: "gone"}}}, false, ledger.Deleted, 2},
		"retry date after all is too late":  {[]answer{{failure: &wire.Failure{Retry: wire.RetryAt(time.Now().Add(48 * time.Hour))}}}, false, ledger.Expired, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			var calls atomic.Int64
			b.run = func(_ context.Context, job *ledger.Job) (wire.Reply, error) {
				n := min(int(calls.Add(1)), len(tt.answers))
				if job.Attempt.Number != int(calls.Load()) {
					t.Errorf("attempt %d is run as number %d", calls.Load(), job.Attempt.Number)
				}
				return wire.Reply{Failure: tt.answers[n-1].failure}, tt.answers[n-1].err
			}
			b.start()
			e, attempts := b.wait(b.accept("c1", 1, func(s *ledger.Submission) { s.Safe = tt.safe })[0])
			want := ledger.Dead
			if tt.class == "" {
				want = ledger.Done
			}
			if e.State != want || e.Class != tt.class || len(attempts) != tt.attempts || int(calls.Load()) != tt.attempts {
				t.Errorf("%s, %q after %d attempts and %d runs, want %s, %q after %d",
					e.State, e.Class, len(attempts), calls.Load(), want, tt.class, tt.attempts)
			}
		})
	}
}

func TestNextAttemptWaitsForItsTime(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		retry      wire.Retry
		retryDelay time.Duration
	}{
		"backoff":    {wire.RetryLater(), 300 * time.Millisecond},
		"retry date": {wire.RetryAt(time.Now().Add(time.Second)), time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.options.RetryDelay, b.options.MaxRetryDelay = tt.retryDelay, time.Minute
			b.run = func(_ context.Context, job *ledger.Job) (wire.Reply, error) {
				if job.Attempt.Number == 1 {
					return wire.Reply{Failure: &wire.Failure{Message: "later", Retry: tt.retry}}, nil
				}
				return wire.Reply{}, nil
			}
			b.start(func(q *Queue) { q.random = most })
			_, attempts := b.wait(b.accept("c1", 1)[0])
			if len(attempts) != 2 {
				t.Fatalf("attempts: %+v", attempts)
			}
			due := attempts[0].EndedAt.Add(tt.retryDelay)
			if _, at := tt.retry.Again(); at.After(due) {
				due = at
			}
			// The ledger keeps milliseconds.
			if late := attempts[1].StartedAt.Sub(due); late < -time.Millisecond || late > patience/3 {
				t.Errorf("the second attempt began %s after its time", late)
			}
		})
	}
}

func TestExecutionThatWaitedTooLongIsNotRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.MaxAge = 0
	b.run = func(context.Context, *ledger.Job) (wire.Reply, error) {
		t.Error("it was run")
		return wire.Reply{}, nil
	}
	b.start()
	e, attempts := b.wait(b.accept("c1", 1)[0])
	if e.Class != ledger.Expired || len(attempts) != 1 || attempts[0].Failure == nil {
		t.Errorf("it ended as %+v after %+v, want expired, and an attempt that says why", e, attempts)
	}
}

func TestTypeThatIsNotThereAnyMoreEndsItsExecutions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run = func(_ context.Context, job *ledger.Job) (wire.Reply, error) {
		return wire.Reply{}, &Gone{Class: ledger.Disabled, Message: "no type " + job.Type}
	}
	b.start()
	for _, id := range b.accept("c1", 3, func(s *ledger.Submission) { s.Type = ".removed" }) {
		if e, _ := b.wait(id); e.Class != ledger.Disabled {
			t.Errorf("it ended as %+v", e)
		}
	}
}
