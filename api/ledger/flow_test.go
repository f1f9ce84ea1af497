package ledger

import (
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"patchbay.dev/shared/wire"
)

// same compares what has a wire.Retry in it.
var same = cmp.Options{cmp.Comparer(func(a, b wire.Retry) bool { return adviceText(a) == adviceText(b) }), cmpopts.EquateEmpty()}

func TestExecutionFromAcceptToDone(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	s := example("a")
	s.Key, s.Safe, s.Tracestate = "key", true, "vendor=1"
	s.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	s.Access = &wire.Access{Key: "k", Indices: []string{"alerts-*"}}
	want := Execution{
		Seq: 1, ID: "a", Space: "default", ConnectorID: "alerts", ConnectorName: "Alerts", Type: ".index", Durable: true, State: Queued,
		CreatedAt: epoch, QueuedAt: epoch, DueAt: epoch, MaxAttempts: 3, Bytes: 10, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", Key: "key",
	}
	if diff := cmp.Diff(want, l.mustAccept(t, s)[0], same); diff != "" {
		t.Errorf("accepted (-want +got):\n%s", diff)
	}
	got, attempts := l.mustGet(t, "a")
	if diff := cmp.Diff(want, got, same); diff != "" || attempts != nil {
		t.Errorf("stored (-want +got):\n%s attempts %v", diff, attempts)
	}
	l.wantQueued(t, 1, 1)

	due, next, err := l.Due(t.Context(), where(1), epoch, 10)
	if diff := cmp.Diff([]Due{{Seq: 1, Bytes: 10}}, due); diff != "" || !next.IsZero() || err != nil {
		t.Errorf("due (-want +got):\n%s next %s, %v", diff, next, err)
	}
	began := l.pass(2 * time.Second)
	want.State, want.DueAt = Running, time.Time{}
	want.Attempt = Attempt{Number: 1, DueAt: epoch, StartedAt: began, Queue: 2 * time.Second}
	job := Job{Execution: want, Safe: true, Params: s.Params, Access: s.Access, Traceparent: s.Traceparent, Tracestate: s.Tracestate}
	if diff := cmp.Diff(job, l.mustClaim(t, 1), same); diff != "" {
		t.Errorf("claimed (-want +got):\n%s", diff)
	}
	l.wantQueued(t, 0, 1)

	end := succeeded(1, 1)
	l.mustEnd(t, end)
	want.State, want.Outcome, want.EndedAt = Done, wire.OK, end.Attempt.EndedAt
	a := &want.Attempt
	a.Last, a.EndedAt, a.Dispatch, a.Run, a.Outcome, a.Worker = true, want.EndedAt, end.Attempt.Dispatch, end.Attempt.Run, wire.OK, "worker-1"
	got, attempts = l.mustGet(t, "a")
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Attempt{want.Attempt}, attempts, same); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
	reply, err := l.Answer(t.Context(), &got)
	if diff := cmp.Diff(wire.Reply{Data: json.RawMessage(`{"ok":true}`)}, reply); diff != "" || err != nil {
		t.Errorf("answer (-want +got):\n%s %v", diff, err)
	}
	l.wantQueued(t, 0, 0)
	l.wantRows(t, "payload", 0)
}

func (l *Ledger) wantRows(t *testing.T, table string, want int) {
	t.Helper()
	var got int
	if err := l.read.GetContext(t.Context(), &got, "SELECT count(*) FROM "+table); err != nil || got != want {
		t.Errorf("%s: %d rows, want %d; %v", table, got, want, err)
	}
}

func TestAttemptsAreKept(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{SealParams: mark})
	seq := l.mustAccept(t, example("a"))[0].Seq
	l.mustClaim(t, seq)
	again := failed(seq, 1, Queued)
	again.DueAt, again.Lost = epoch.Add(time.Minute), true
	l.mustEnd(t, again)
	l.wantQueued(t, 1, 1)

	if jobs, err := l.Claim(t.Context(), []int64{seq, 99}, epoch); len(jobs) != 0 || err != nil {
		t.Errorf("claimed before it is due: %v, %v", jobs, err)
	}
	if due, next, err := l.Due(t.Context(), where(1), epoch, 10); len(due) != 0 || !next.Equal(again.DueAt) || err != nil {
		t.Errorf("due %v, next %s, %v", due, next, err)
	}
	e, _ := l.mustGet(t, "a")
	if e.State != Queued || !e.DueAt.Equal(again.DueAt) || !e.EndedAt.IsZero() || e.Outcome != wire.Error {
		t.Errorf("between attempts: %+v", e)
	}

	second := l.pass(time.Minute + time.Second)
	job := l.mustClaim(t, seq)
	if job.Lost != 1 || job.Attempt.Number != 2 || job.Attempt.Queue != time.Second {
		t.Errorf("job %+v", job)
	}
	end := failed(seq, 2, Dead)
	end.Attempt.Failure.Retry = wire.RetryAt(epoch.Add(time.Hour))
	l.mustEnd(t, end)

	e, attempts := l.mustGet(t, "a")
	want := []Attempt{again.Attempt, end.Attempt}
	want[0].DueAt, want[0].StartedAt = epoch, epoch
	want[1].DueAt, want[1].StartedAt, want[1].Queue, want[1].Last = again.DueAt, second, time.Second, true
	if diff := cmp.Diff(want, attempts, same); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
	if e.State != Dead || e.Class != Exhausted || !e.Replayable || !e.EndedAt.Equal(end.Attempt.EndedAt) {
		t.Errorf("dead: %+v", e)
	}
	sealed, err := l.SealedParams(t.Context(), 0, 10)
	wantSealed := []Sealed{{seq, "default", "alerts", ".index", "a", []byte(`sealed default/alerts/.index/a {"id":"a"}`)}}
	if diff := cmp.Diff(wantSealed, sealed); diff != "" || err != nil {
		t.Errorf("sealed (-want +got):\n%s %v", diff, err)
	}
	l.wantQueued(t, 0, 0)
}

func TestAttemptThatWasNotRunDoesNotCount(t *testing.T) {
	t.Parallel()
	for _, before := range []int{0, 1, 2} {
		l := setup(t, Options{})
		seq := l.mustAccept(t, example("a"))[0].Seq
		for n := range before {
			l.mustClaim(t, seq)
			l.mustEnd(t, failed(seq, n+1, Queued))
		}
		want, wantAttempts := l.mustGet(t, "a")
		for range 2 {
			l.mustClaim(t, seq)
			later := epoch.Add(time.Hour)
			l.mustEnd(t, Ending{Seq: seq, State: Queued, NotRun: true, DueAt: later, Attempt: failed(seq, before+1, Queued).Attempt})
			want.DueAt = later
			got, attempts := l.mustGet(t, "a")
			if diff := cmp.Diff(want, got, same); diff != "" {
				t.Errorf("after %d attempts (-want +got):\n%s", before, diff)
			}
			if diff := cmp.Diff(wantAttempts, attempts, same); diff != "" {
				t.Errorf("after %d attempts: attempts (-want +got):\n%s", before, diff)
			}
			l.wantQueued(t, 1, 1)
			l.pass(2 * time.Hour)
		}
		if job := l.mustClaim(t, seq); job.Attempt.Number != before+1 {
			t.Errorf("attempt %d, want %d", job.Attempt.Number, before+1)
		}
	}
}

func TestEndOfWhatIsNotRunningIsRefused(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	seq := l.mustAccept(t, example("a"))[0].Seq
	if err := l.End(t.Context(), succeeded(seq, 1)); !errors.Is(err, ErrNotFound) {
		t.Errorf("queued: %v", err)
	}
	l.mustClaim(t, seq)
	if err := l.End(t.Context(), succeeded(seq, 2)); !errors.Is(err, ErrNotFound) {
		t.Errorf("another attempt: %v", err)
	}
	l.mustEnd(t, succeeded(seq, 1))
	if err := l.End(t.Context(), succeeded(seq, 1)); !errors.Is(err, ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
	l.wantQueued(t, 0, 0)
}

func TestDeadLetterWithoutASealHasNoParams(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	if e := l.kill(t, example("a")); e.Replayable || e.State != Dead {
		t.Errorf("%+v", e)
	}
	l.wantRows(t, "payload", 0)
}

// A key file that cannot be read for a moment costs nobody a dead letter.
func TestDeadLetterIsSealedOnceItCanBe(t *testing.T) {
	t.Parallel()
	var works atomic.Bool
	l := setup(t, Options{SealParams: func(space, connectorID, typeID, id string, params []byte) ([]byte, error) {
		if !works.Load() {
			return nil, errors.New("no key")
		}
		return mark(space, connectorID, typeID, id, params)
	}})
	if e := l.kill(t, example("a")); !e.Replayable {
		t.Error("not replayable")
	}
	if sealed, err := l.SealedParams(t.Context(), 0, 10); len(sealed) != 0 || err != nil {
		t.Errorf("sealed %v, %v", sealed, err)
	}
	if err := l.sealLeft(t.Context()); err == nil {
		t.Error("sealed without a key")
	}
	works.Store(true)
	if err := l.sealLeft(t.Context()); err != nil {
		t.Error(err)
	}
	if sealed, err := l.SealedParams(t.Context(), 0, 10); len(sealed) != 1 || err != nil {
		t.Errorf("sealed %v, %v", sealed, err)
	}
	var params *string
	if err := l.read.GetContext(t.Context(), &params, `SELECT params FROM payload`); err != nil || params != nil {
		t.Errorf("params %v, %v", params, err)
	}
}

func TestSealedParamsAreReplacedIfTheyAreThoseFromBefore(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{SealParams: mark})
	seq := l.kill(t, example("a")).Seq
	before, err := l.SealedParams(t.Context(), seq-1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := l.ReplaceParams(t.Context(), seq, before[0].Params, []byte("new")); !ok || err != nil {
		t.Errorf("replaced %t, %v", ok, err)
	}
	if ok, err := l.ReplaceParams(t.Context(), seq, before[0].Params, []byte("newer")); ok || err != nil {
		t.Errorf("replaced again %t, %v", ok, err)
	}
	if after, err := l.SealedParams(t.Context(), 0, 1); err != nil || string(after[0].Params) != "new" {
		t.Errorf("%v, %v", after, err)
	}
	if after, err := l.SealedParams(t.Context(), seq, 1); err != nil || len(after) != 0 {
		t.Errorf("after the last: %v, %v", after, err)
	}
}
