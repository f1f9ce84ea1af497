package queue

import (
	"context"
	"errors"
	"testing"
	"time"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

func TestStopLetsWhatRunsFinish(t *testing.T) {
	t.Parallel()
	b := setup(t)
	begun, release := make(chan struct{}, 2), make(chan struct{})
	b.run = func(ctx context.Context, _ *ledger.Job) (wire.Reply, error) {
		begun <- struct{}{}
		<-release
		return wire.Reply{}, context.Cause(ctx)
	}
	stop := b.start()
	first := b.accept("c1", 1)[0]
	receive(t, begun)
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	second := b.accept("c1", 1)[0]
	select {
	case err := <-stopped:
		t.Fatalf("it stopped while one ran: %v", err)
	default:
	}
	close(release)
	if err := receive(t, stopped); err != nil {
		t.Errorf("Run: %v", err)
	}
	if got := b.state(first).State; got != ledger.Done {
		t.Errorf("what ran is %s", got)
	}
	if got := b.state(second); got.State != ledger.Queued && got.State != ledger.Done {
		t.Errorf("what came then is %+v", got)
	}
}

func TestStopCutsWhatOutlastsTheGraceAndWritesItsEnd(t *testing.T) {
	t.Parallel()
	for safe, want := range map[bool]ledger.State{true: ledger.Queued, false: ledger.Dead} {
		b := setup(t)
		b.options.Grace = time.Millisecond
		b.options.RetryDelay, b.options.MaxRetryDelay = time.Hour, time.Hour
		b.options.MaxAge = 24 * time.Hour
		const running = 20
		b.options.Slots = 2 * running
		begun := make(chan struct{}, running)
		b.run = func(ctx context.Context, _ *ledger.Job) (wire.Reply, error) {
			begun <- struct{}{}
			<-ctx.Done()
			if err := context.Cause(ctx); !errors.Is(err, dispatch.ErrStopping) {
				t.Errorf("it was cut off by %v", err)
			}
			return wire.Reply{Failure: &wire.Failure{Message: "cut", Unknown: true, Retry: wire.RetryNever()}}, nil
		}
		stop := b.start()
		ids := b.accept("c1", running, func(s *ledger.Submission) { s.Safe = safe })
		for range running {
			receive(t, begun)
		}
		if err := stop(); err == nil {
			t.Error("Run does not tell that something still ran")
		}
		for _, id := range ids {
			if got := b.state(id); got.State != want || got.Outcome != wire.Unknown {
				t.Errorf("safe %t: it is %+v, want %s and unknown", safe, got, want)
			}
		}
	}
}

// Tickets of the queue before are in the stream; executions wait and are on their way.
func TestNextStartGoesOnWhereTheLastOneStopped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.AckWait = time.Second // what was delivered and not begun comes again after it
	c := newCounter()
	b.run = c.run
	ids := append(b.accept("a", 500), b.accept("b", 500)...)
	for range 5 {
		stop := b.start()
		for range 50 {
			receive(t, c.ran)
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	b.start()
	b.allDone(ids)
	c.once(t, ids)
	wantHeld(t, jetStream(t, b.connect()), queueStream, 0)
}
