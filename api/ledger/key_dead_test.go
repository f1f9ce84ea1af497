package ledger

import (
	"errors"
	"testing"

	"patchbay.dev/shared/wire"
)

// die accepts an execution and makes it a dead letter of a class.
func (l *Ledger) die(t *testing.T, s Submission, class Class, outcome wire.Outcome) Execution {
	t.Helper()
	e := l.mustAccept(t, s)[0]
	l.mustClaim(t, e.Seq)
	end := failed(e.Seq, 1, Dead)
	end.Class, end.Attempt.Outcome = class, outcome
	l.mustEnd(t, end)
	return e
}

func TestSameKeyRunsAgainWhatRanOutOfAttemptsOrTime(t *testing.T) {
	t.Parallel()
	for _, class := range []Class{Exhausted, Expired} {
		l := setup(t, Options{SealParams: mark})
		seq := l.die(t, keyed("a", 1), class, wire.Error).Seq
		if a := l.accept1(t, keyed("b", 2)); !errors.Is(a.Err, ErrKeyReused) {
			t.Errorf("%s: another request: %+v", class, a)
		}
		a := l.accept1(t, keyed("b", 1))
		if a.Known || a.Err != nil || a.Execution.ID != "a" || a.Execution.Replayable {
			t.Errorf("%s: %+v", class, a)
		}
		l.wantQueued(t, 1, 1)
		if e, _ := l.mustGet(t, "a"); e.Replayable {
			t.Errorf("%s: replayable while it is queued", class)
		}
		job := l.mustClaim(t, seq)
		if string(job.Params) != `{"id":"b"}` || job.SealedParams != nil || job.Attempt.Number != 2 || job.MaxAttempts != 4 {
			t.Errorf("%s: job %+v", class, job)
		}
		l.mustEnd(t, succeeded(seq, 2))
		l.wantQueued(t, 0, 0)
	}
}

func TestDeadLetterThatIsRunForItsCallerKeepsNoParams(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{SealParams: mark})
	seq := l.die(t, keyed("a", 1), Exhausted, wire.Error).Seq
	if a := l.begin(t, keyed("b", 1)); a.Known || a.Err != nil || a.Execution.ID != "a" || a.Execution.Attempt.Number != 2 {
		t.Errorf("%+v", a)
	}
	l.wantRows(t, "payload", 0)
	l.mustEnd(t, succeeded(seq, 2))
	if e, _ := l.mustGet(t, "a"); e.Durable || e.Replayable || e.State != Done || e.Class != "" {
		t.Errorf("%+v", e)
	}
	l.wantQueued(t, 0, 0)
}

// The last attempt of one that is not safe may have been carried out.
func TestDeadLetterWithAnUnknownOutcomeRunsAgainOnlyIfItIsSafe(t *testing.T) {
	t.Parallel()
	for _, safe := range []bool{false, true} {
		l := setup(t, Options{})
		s := keyed("a", 1)
		s.Safe = safe
		l.die(t, s, Exhausted, wire.Unknown)
		if a := l.begin(t, keyed("b", 1)); a.Known == safe {
			t.Errorf("safe %t: %+v", safe, a)
		}
	}
}
