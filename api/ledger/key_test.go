package ledger

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
)

// keyed is an example with the key "key" and a request that is told by its first byte.
func keyed(id string, request byte) Submission {
	s := example(id)
	s.Key, s.Fingerprint = "key", [32]byte{request}
	return s
}

func (l *Ledger) accept1(t *testing.T, s Submission) Acceptance {
	t.Helper()
	acceptances, err := l.Accept(t.Context(), []Submission{s})
	if err != nil {
		t.Fatal(err)
	}
	return acceptances[0]
}

func (l *Ledger) begin(t *testing.T, s Submission) Acceptance {
	t.Helper()
	a, err := l.Begin(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestSameKeyAtTheSameTimeIsOneExecution(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(*Ledger, Submission) Acceptance{
		"Accept": func(l *Ledger, s Submission) Acceptance { return l.accept1(t, s) },
		"Begin":  func(l *Ledger, s Submission) Acceptance { return l.begin(t, s) },
	} {
		l := setup(t, Options{})
		var callers sync.WaitGroup
		acceptances := make([]Acceptance, 50)
		for i := range acceptances {
			callers.Go(func() { acceptances[i] = ask(l.Ledger, keyed(fmt.Sprint(i), 1)) })
		}
		callers.Wait()
		fresh := 0
		for _, a := range acceptances {
			if !a.Known {
				fresh++
			}
			if a.Err != nil || a.Execution.ID != acceptances[0].Execution.ID {
				t.Errorf("%s: %+v", name, a)
			}
		}
		if fresh != 1 {
			t.Errorf("%s: %d are new, want 1", name, fresh)
		}
		l.wantRows(t, "execution", 1)
	}
}

func TestSameKeyInOneCallIsOneExecution(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	acceptances, err := l.Accept(t.Context(), []Submission{keyed("a", 1), keyed("b", 1), keyed("c", 2), example("a"), example("b")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range acceptances {
		got = append(got, fmt.Sprint(a.Execution.ID, " ", a.Known, " ", a.Err))
	}
	want := []string{"a false <nil>", "a true <nil>", "a false " + ErrKeyReused.Error(), "a false " + ErrExists.Error(), "b false <nil>"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("acceptances (-want +got):\n%s", diff)
	}
	l.wantQueued(t, 2, 2)
}

func TestKeyIsOfItsConnectorAndSpace(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	other, elsewhere := keyed("b", 2), keyed("a", 3)
	other.ConnectorID, elsewhere.Space = "other", "other"
	l.mustAccept(t, keyed("a", 1), other, elsewhere)
}

func TestKeyIsFreeAgainWhenItIsOld(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{KeyAge: time.Hour})
	first := l.mustAccept(t, keyed("a", 1))[0]
	l.pass(2 * time.Hour)
	if a := l.accept1(t, keyed("b", 2)); !errors.Is(a.Err, ErrKeyReused) {
		t.Errorf("while it is queued: %+v", a)
	}
	l.mustClaim(t, first.Seq)
	l.mustEnd(t, succeeded(first.Seq, 1))
	l.mustAccept(t, keyed("b", 2))
	if e, _ := l.mustGet(t, "a"); e.Key != "key" {
		t.Errorf("the first has the key %q", e.Key)
	}
	l.pass(time.Hour - time.Microsecond)
	if a := l.accept1(t, keyed("c", 2)); !a.Known || a.Execution.ID != "b" {
		t.Errorf("before the second is old: %+v", a)
	}
}

func TestSameKeyRunsAgainWhatIsNotFinal(t *testing.T) {
	t.Parallel()
	failure := func(retry wire.Retry) Attempt {
		return Attempt{Number: 1, Outcome: wire.Error, Failure: &wire.Failure{Message: "no", Retry: retry, Source: wire.User}}
	}
	unknown := Attempt{Number: 1, Outcome: wire.Unknown, Failure: &wire.Failure{Unknown: true}}
	for _, tt := range []struct {
		name   string
		end    Attempt
		notRun bool
		safe   bool
		again  bool
	}{
		{"success", Attempt{Number: 1, Outcome: wire.OK}, false, true, false},
		{"error without advice", failure(wire.Retry{}), false, true, false},
		{"error for good", failure(wire.RetryNever()), false, true, false},
		{"error for now", failure(wire.RetryLater()), false, false, true},
		{"error until then", failure(wire.RetryAt(epoch)), false, false, true},
		{"not run", failure(wire.Retry{}), true, false, true},
		{"cancelled", Attempt{Number: 1, Outcome: Cancelled}, false, false, false},
		{"cancelled and safe", Attempt{Number: 1, Outcome: Cancelled}, false, true, true},
		{"cancelled and not run", Attempt{Number: 1, Outcome: Cancelled}, true, false, true},
		{"unknown", unknown, false, false, false},
		{"unknown and safe", unknown, false, true, true},
	} {
		for _, queued := range []bool{false, true} {
			l := setup(t, Options{})
			s := keyed("a", 1)
			s.Safe = tt.safe
			first := l.begin(t, s).Execution
			if a := l.begin(t, keyed("b", 1)); !a.Known || a.Execution.State != Running {
				t.Errorf("%s: in flight: %+v", tt.name, a)
			}
			l.mustEnd(t, Ending{Seq: first.Seq, State: Done, Attempt: tt.end, NotRun: tt.notRun})
			if a := l.begin(t, keyed("b", 2)); !errors.Is(a.Err, ErrKeyReused) {
				t.Errorf("%s: another request: %+v", tt.name, a)
			}
			var a Acceptance
			if queued {
				a = l.accept1(t, keyed("b", 1))
			} else {
				a = l.begin(t, keyed("b", 1))
			}
			if a.Known == tt.again || a.Execution.ID != "a" || a.Err != nil {
				t.Errorf("%s: %+v, want again %t", tt.name, a, tt.again)
			}
			if !tt.again {
				continue
			}
			if queued {
				l.wantQueued(t, 1, 1)
				l.mustClaim(t, first.Seq)
			}
			e, attempts := l.mustGet(t, "a")
			if e.State != Running || e.Durable != queued || e.Attempt.Number != 2 || len(attempts) != 2 || attempts[0].Outcome != tt.end.Outcome {
				t.Errorf("%s: %+v after %+v", tt.name, e, attempts)
			}
			l.mustEnd(t, succeeded(first.Seq, 2))
			if a := l.accept1(t, keyed("b", 1)); !a.Known || a.Execution.Outcome != wire.OK {
				t.Errorf("%s: after the second: %+v", tt.name, a)
			}
			l.wantQueued(t, 0, 0)
		}
	}
}

func TestDeadLetterMayBeFinalForItsKey(t *testing.T) {
	t.Parallel()
	for _, class := range []Class{Refused, Unknown, Poison, TooLarge, Deleted} {
		l := setup(t, Options{})
		l.die(t, keyed("a", 1), class, wire.Error)
		if a := l.accept1(t, keyed("b", 1)); !a.Known || a.Execution.State != Dead {
			t.Errorf("%s: %+v", class, a)
		}
		if a := l.begin(t, keyed("b", 1)); !a.Known || a.Execution.State != Dead {
			t.Errorf("%s: %+v", class, a)
		}
	}
}
