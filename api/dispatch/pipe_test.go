package dispatch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestLargeQuestionsWaitUntilOthersWereHeardOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, deadline := newPipe(), time.Now().Add(time.Minute)
		enter := func(size int) func() {
			heard, err := p.enter(t.Context(), size, deadline)
			if err != nil {
				t.Fatal(err)
			}
			return heard
		}
		enter(large - 1)() // does not count
		first, second := enter(8<<20), enter(8<<20-1)
		var third time.Time
		go func() {
			defer enter(16 << 20)()
			third = time.Now()
		}()
		enter(large - 1)
		time.Sleep(time.Second)
		first()
		first()
		time.Sleep(time.Second)
		if !third.IsZero() {
			t.Error("one went before there was room for all of it")
		}
		second()
		synctest.Wait()
		if third.IsZero() || len(p.tokens)+len(p.turn) > 0 {
			t.Errorf("when all were heard of the last has not gone, or %d tokens are held", len(p.tokens))
		}
		enter(1 << 40)() // more than there is goes alone
	})
}

func TestLargeQuestionThatDoesNotGetThroughIsNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, start := newPipe(), time.Now()
		heard, err := p.enter(t.Context(), 10<<20, start.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.enter(t.Context(), 10<<20, start.Add(time.Minute)); !errors.Is(err, ErrBusy) || time.Since(start) > time.Minute-leastTry {
			t.Errorf("enter: %v after %s, want %v before the deadline", err, time.Since(start), ErrBusy)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.enter(ctx, 10<<20, start.Add(time.Hour)); !errors.Is(err, context.Canceled) {
			t.Errorf("enter: %v, want %v", err, context.Canceled)
		}
		heard()
		if len(p.tokens)+len(p.turn) > 0 {
			t.Errorf("%d tokens are held", len(p.tokens))
		}
	})
}

func TestWorkersOfOneTypeThatHangAreInNobodysWay(t *testing.T) {
	t.Parallel()
	var p pipes
	for range pipeMiB / 4 {
		if _, err := p.to(".jira").enter(t.Context(), 4<<20, time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.to(".jira").enter(t.Context(), large, time.Now().Add(2*leastTry)); !errors.Is(err, ErrBusy) {
		t.Errorf("one more of the type: %v, want %v", err, ErrBusy)
	}
	if _, err := p.to(".index").enter(t.Context(), large, time.Now().Add(time.Minute)); err != nil {
		t.Errorf("another type: %v", err)
	}
}
