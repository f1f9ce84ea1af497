package api

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// What a refused caller is told comes of how fast executions end and how many are in
// flight.
func TestRefusalTellsTheTimeToDrain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		inFlight, ended int // at once, and in the second before
		want            time.Duration
	}{
		{100, 10, 10 * time.Second},
		{100, 50, 2 * time.Second},
		{20, 10, 2 * time.Second},
		{100, 1000, time.Second}, // at least
		{100, 0, maxDrain},
	} {
		a, start := newTestAdmission(t, test.inFlight, 0), time.Now()
		enter := func(i int, now time.Time) (*ticket, error) { return a.enter(fmt.Sprint(i), 1, now) }
		tickets := make([]*ticket, test.inFlight)
		for i := range tickets {
			var err error
			if tickets[i], err = enter(i, start); err != nil {
				t.Fatal(err)
			}
		}
		for n := range test.ended { // and the next comes
			i, now := n%test.inFlight, start.Add(time.Second*time.Duration(n+1)/time.Duration(test.ended))
			tickets[i].done(now)
			var err error
			if tickets[i], err = enter(i, now); err != nil {
				t.Fatal(err)
			}
		}
		_, err := enter(-1, start.Add(time.Second))
		if refusal, ok := errors.AsType[*problem](err); !ok || refusal.retryAfter != test.want {
			t.Errorf("%+v: %+v, want to come again after %s", test, refusal, test.want)
		}
	}
}

// While nothing is in flight nothing can end, which says nothing of the pace.
func TestIdleTimeIsNoSlowPace(t *testing.T) {
	t.Parallel()
	a, now := newTestAdmission(t, 1, 0), time.Now()
	for range 100 { // in a second
		one, err := a.enter("c", 1, now)
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(10 * time.Millisecond)
		one.done(now)
	}
	now = now.Add(time.Hour)
	if _, err := a.enter("c", 1, now); err != nil {
		t.Fatal(err)
	}
	_, err := a.enter("c", 1, now.Add(time.Millisecond))
	if refusal, ok := errors.AsType[*problem](err); !ok || refusal.retryAfter != time.Second {
		t.Errorf("%+v, want to come again after a second", refusal)
	}
}
