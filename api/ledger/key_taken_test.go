package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Nobody queues what a caller waits for: that it is accepted would not be true.
func TestAcceptOfWhatIsRunForItsCallerIsRefused(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	first := l.begin(t, keyed("a", 1)).Execution
	if a := l.accept1(t, keyed("b", 1)); a.Known || !errors.Is(a.Err, ErrRunning) || a.Execution.ID != "a" {
		t.Errorf("while it runs: %+v", a)
	}
	if a := l.begin(t, keyed("b", 1)); !a.Known || a.Err != nil {
		t.Errorf("another who waits: %+v", a)
	}
	l.mustEnd(t, succeeded(first.Seq, 1))
	if a := l.accept1(t, keyed("b", 1)); !a.Known || a.Err != nil {
		t.Errorf("after it: %+v", a)
	}
	l.wantQueued(t, 0, 0)
	l = setup(t, Options{})
	l.mustClaim(t, l.mustAccept(t, keyed("a", 1))[0].Seq)
	if a := l.accept1(t, keyed("b", 1)); !a.Known || a.Err != nil {
		t.Errorf("one that was queued: %+v", a)
	}
}

func TestTakenIDIsKnownIfItIsTheSameSubmission(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	l.mustAccept(t, example("a"))
	other, longer, withKey := example("a"), example("a"), keyed("a", 1)
	other.ConnectorID, longer.Params = "other", []byte(`{"id": "a"}`)
	for name, s := range map[string]Submission{"other": other, "longer": longer, "key": withKey} {
		if a := l.accept1(t, s); a.Known || !errors.Is(a.Err, ErrExists) {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if a := l.accept1(t, example("a")); !a.Known || !errors.Is(a.Err, ErrExists) {
		t.Errorf("the same: %+v", a)
	}
	r := record("logged")
	l.Log(r)
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := example("logged")
	s.Params = make([]byte, r.Bytes)
	if a := l.accept1(t, s); a.Known || !errors.Is(a.Err, ErrExists) {
		t.Errorf("answered at once: %+v", a)
	}
}

func TestKeyOfAConnectorThatHasAnotherTypeNow(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	old, s := keyed("a", 1), keyed("b", 1)
	s.Type = ".server-log"
	l.mustAccept(t, old)
	for name, a := range map[string]Acceptance{"Accept": l.accept1(t, s), "Begin": l.begin(t, s)} {
		if !errors.Is(a.Err, ErrKeyReused) {
			t.Errorf("%s while the old one is queued: %+v", name, a)
		}
	}
	if err := l.Discard(t.Context(), "default", "a"); err != nil {
		t.Fatal(err)
	}
	if e := l.mustAccept(t, s)[0]; e.ID != "b" {
		t.Errorf("%+v", e)
	}
	want := []Place{{"default", "alerts", ".server-log", 1}}
	if diff := cmp.Diff(want, l.Places()); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
	if due, _, err := l.Due(t.Context(), want[0], l.time(), 10); len(due) != 1 || err != nil {
		t.Errorf("due %v, %v", due, err)
	}
}

func TestAgeOfAKeyBeginsWithTheLastRun(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{SealParams: mark, LogAge: time.Hour, DeadAge: 48 * time.Hour})
	seq := l.kill(t, keyed("a", 1)).Seq
	l.pass(25 * time.Hour)
	if _, err := l.ReplayOne(t.Context(), "default", "a", nil); err != nil {
		t.Fatal(err)
	}
	l.mustClaim(t, seq)
	end := succeeded(seq, 2)
	end.Attempt.EndedAt = l.pass(time.Minute)
	l.mustEnd(t, end)
	l.pass(24*time.Hour - time.Microsecond)
	l.sweep(t)
	if a := l.accept1(t, keyed("b", 1)); !a.Known || a.Execution.ID != "a" {
		t.Errorf("a day later: %+v", a)
	}
	l.pass(time.Microsecond)
	l.mustAccept(t, keyed("b", 1))
	l.sweep(t)
	if diff := cmp.Diff([]string{"b"}, l.there(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What began may have been carried out, and is not done twice under one key.
func TestDiscardedExecutionThatIsNotSafeRunsAgainOnlyIfItNeverBegan(t *testing.T) {
	t.Parallel()
	for _, began := range []bool{false, true} {
		l := setup(t, Options{})
		seq := l.mustAccept(t, keyed("a", 1))[0].Seq
		if began {
			l.mustClaim(t, seq)
			l.mustEnd(t, failed(seq, 1, Queued))
		}
		if err := l.Discard(t.Context(), "default", "a"); err != nil {
			t.Fatal(err)
		}
		if a := l.accept1(t, keyed("b", 1)); a.Known != began || a.Execution.ID != "a" {
			t.Errorf("began %t: %+v", began, a)
		}
	}
}
