package ledger

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

func TestNoMoreAreQueuedThanMayBe(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		options Options
		want    error
	}{
		"in all":      {Options{MaxQueued: 100}, ErrFull},
		"a connector": {Options{MaxQueuedPerConnector: 100}, ErrConnectorFull},
	} {
		l := setup(t, tt.options)
		var callers sync.WaitGroup
		var accepted, refused atomic.Int64
		for c := range 20 {
			callers.Go(func() {
				submissions := []Submission{example(fmt.Sprint(c)), example(fmt.Sprint(c, "b")), example(fmt.Sprint(c, "c"))}
				for i := range submissions {
					submissions[i].ID += "x"
				}
				for round := range 3 {
					for i := range submissions {
						submissions[i].ID += fmt.Sprint(round)
					}
					acceptances, err := l.Accept(t.Context(), submissions)
					if err != nil {
						t.Error(err)
					}
					for _, a := range acceptances {
						switch {
						case a.Err == nil:
							accepted.Add(1)
						case errors.Is(a.Err, tt.want):
							refused.Add(1)
						default:
							t.Errorf("%s: %v", name, a.Err)
						}
					}
				}
			})
		}
		callers.Wait()
		if accepted.Load() != 100 || refused.Load() != 80 {
			t.Errorf("%s: %d accepted, %d refused, want 100 and 80", name, accepted.Load(), refused.Load())
		}
		l.wantQueued(t, 100, 100)
	}
}

func TestRoomComesBackWithTheEnd(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{MaxQueued: 2, SealParams: mark})
	l.mustAccept(t, example("a"), keyed("b", 1))
	wantFull := func(what string) {
		t.Helper()
		if a := l.accept1(t, example("one more")); !errors.Is(a.Err, ErrFull) {
			t.Errorf("%s: %+v", what, a)
		}
	}
	wantFull("two are queued")
	if a := l.accept1(t, keyed("d", 1)); !a.Known {
		t.Errorf("a known one, though it is full: %+v", a)
	}
	if a := l.accept1(t, example("a")); !errors.Is(a.Err, ErrExists) {
		t.Errorf("one that exists, though it is full: %+v", a)
	}
	l.mustClaim(t, 1)
	wantFull("one is running")
	l.mustEnd(t, failed(1, 1, Queued))
	wantFull("one failed and is queued")
	l.mustClaim(t, 1)
	l.mustEnd(t, failed(1, 2, Dead))
	l.mustAccept(t, example("c"))
	wantFull("after one more")
	if _, err := l.ReplayOne(t.Context(), "default", "a", nil); !errors.Is(err, ErrFull) {
		t.Errorf("replay: %v", err)
	}
	if n, _, err := l.Replay(t.Context(), Filter{}, 0, false, nil); n != 0 || !errors.Is(err, ErrFull) {
		t.Errorf("replay: %d, %v", n, err)
	}
	if err := l.Discard(t.Context(), "default", "c"); err != nil {
		t.Error(err)
	}
	if _, err := l.ReplayOne(t.Context(), "default", "a", nil); err != nil {
		t.Error(err)
	}
	l.wantQueued(t, 2, 2)
}

func TestBoundHoldsAfterARestart(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{MaxQueued: 3})
	l.mustAccept(t, example("a"), example("b"), example("c"))
	l.mustClaim(t, 2)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, l.dir, l.options)
	again.wantQueued(t, 2, 2) // the one that was running is not safe
	again.mustAccept(t, example("d"))
	if a := again.accept1(t, example("e")); !errors.Is(a.Err, ErrFull) {
		t.Errorf("%+v", a)
	}
	select {
	case <-again.Changed():
	default:
		t.Error("nobody is told of what is queued")
	}
}
