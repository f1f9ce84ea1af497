package queue

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

// Nobody hears of an execution without a worker, and it loses no attempt; when a
// worker comes everything is run.
func TestWithoutWorkerNothingIsHotOrLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.Slots = 4
	const tries = 3
	burst := 3 // what is fed of 4 slots before anything is known
	var mu sync.Mutex
	var called []time.Time
	b.run = func(context.Context, *ledger.Job) (wire.Reply, error) {
		mu.Lock()
		defer mu.Unlock()
		called = append(called, time.Now())
		if len(called) < burst+tries {
			return wire.Reply{}, dispatch.ErrNoWorker
		}
		return wire.Reply{}, nil
	}
	ids := b.accept("c1", 20)
	b.start(func(q *Queue) { q.pauses.random = most })
	b.allDone(ids)
	mu.Lock()
	defer mu.Unlock()
	if len(called) != 20+burst+tries-1 {
		t.Errorf("%d runs, want one for each of 20, %d before anything was known, %d to try", len(called), burst, tries-1)
	}
	var pauses []time.Duration // at the least
	for n := range tries {
		pauses = append(pauses, min(called[burst+n].Sub(called[burst+n-1]), firstPause<<n))
	}
	// A pause begins when the first of the burst has ended.
	for n, want := range []time.Duration{firstPause * 9 / 10, 2 * firstPause, 4 * firstPause} {
		if pauses[n] < want {
			t.Errorf("try %d came after %s, want %s", n, pauses[n], want)
		}
	}
}

func TestPlaceThatHangsLeavesRoomForOthersOfItsType(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.Slots = 8
	release := make(chan struct{})
	var hanging atomic.Int64
	b.run = func(_ context.Context, job *ledger.Job) (wire.Reply, error) {
		if job.ConnectorID == "hangs" {
			hanging.Add(1)
			<-release
		}
		return wire.Reply{}, nil
	}
	stuck := b.accept("hangs", 100)
	b.start()
	b.allDone(append(b.accept("b", 50), b.accept("c", 50)...))
	if n := hanging.Load(); n < 1 || n >= 8 {
		t.Errorf("%d of 8 slots hang", n)
	}
	close(release)
	b.allDone(stuck)
}

func TestExecutionsOfAPlaceBeginInTheirOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.Slots = 4
	c := newCounter()
	b.run = c.run
	first, second := b.accept("a", 1000), b.accept("b", 1000)
	b.start()
	b.allDone(first)
	b.allDone(second)
	c.once(t, append(first, second...))
	for _, ids := range [][]string{first, second} {
		var last time.Time
		for _, id := range ids {
			begun := b.state(id).Attempt.StartedAt
			if begun.Before(last) {
				t.Fatalf("%s began at %s, one that came later at %s", id, begun, last)
			}
			last = begun
		}
	}
}

// The next ones are fed while those before are being claimed.
func TestAllThatFitsBeginsThoughNothingEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.Slots = 512
	begun, release := make(chan struct{}, 200), make(chan struct{})
	b.run = func(context.Context, *ledger.Job) (wire.Reply, error) {
		begun <- struct{}{}
		<-release
		return wire.Reply{}, nil
	}
	ids := b.accept("c1", 200)
	b.start()
	began := time.Now()
	for range 200 {
		receive(t, begun)
	}
	if took := time.Since(began); took > patience/3 { // half the AckWait, if only the clock had helped
		t.Errorf("it took %s", took)
	}
	close(release)
	b.allDone(ids)
}

func TestPlacesTakeTurns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.Slots = 1
	places := make(chan string, 60)
	b.run = func(_ context.Context, job *ledger.Job) (wire.Reply, error) {
		places <- job.ConnectorID
		return wire.Reply{}, nil
	}
	for _, connector := range []string{"a", "b", "c"} {
		b.accept(connector, 20)
	}
	b.start()
	var order strings.Builder
	for range 60 {
		order.WriteString(receive(t, places))
	}
	if got, want := order.String(), strings.Repeat("abc", 20); got != want {
		t.Errorf("the places were run in the order\n%s, want\n%s", got, want)
	}
}

// The workers were away for a moment, and the row that tries is of a destination that
// hangs: that is no reason for the others to wait.
func TestTrialThatHangsDoesNotHoldUpItsType(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var asked atomic.Int64
	hangs, release := make(chan struct{}, 1), make(chan struct{})
	b.run = func(_ context.Context, job *ledger.Job) (wire.Reply, error) {
		if asked.Add(1) == 1 {
			return wire.Reply{}, dispatch.ErrNoWorker
		}
		if job.ConnectorID == "hangs" {
			hangs <- struct{}{}
			<-release
		}
		return wire.Reply{}, nil
	}
	stuck := b.accept("hangs", 1)
	b.start(func(q *Queue) { q.pauses.trial = 10 * time.Millisecond })
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free)
	receive(t, hangs)
	b.allDone(b.accept("others", 20))
	free()
	b.allDone(stuck)
}
