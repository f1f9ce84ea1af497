package queue

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// most is a random that returns the bound.
func most(d time.Duration) time.Duration { return d }

// none is a random that returns 0.
func none(time.Duration) time.Duration { return 0 }

func TestRetryDelayDoublesUpToTheCeilingAndIsAnythingBelow(t *testing.T) {
	t.Parallel()
	o := &Options{RetryDelay: 10 * time.Second, MaxRetryDelay: time.Hour}
	var got, least []time.Duration
	for n := 1; n <= 11; n++ {
		got = append(got, random(most).retry(o, n))
		least = append(least, random(none).retry(o, n))
	}
	want := []time.Duration{
		10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second,
		640 * time.Second, 1280 * time.Second, 2560 * time.Second, time.Hour, time.Hour,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the bounds of the delays (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(make([]time.Duration, 11), least); diff != "" {
		t.Errorf("the least delays (-want +got):\n%s", diff)
	}
	if got := random(most).retry(o, 1_000_000); got != time.Hour {
		t.Errorf("after a million attempts %s, want an hour", got)
	}
	o.RetryDelay = 2 * time.Hour
	if got := random(most).retry(o, 1); got != time.Hour {
		t.Errorf("with a delay above the ceiling %s, want the ceiling", got)
	}
}

func TestPauseIsNeverShort(t *testing.T) {
	t.Parallel()
	for n, want := range map[int][2]time.Duration{
		0: {125 * time.Millisecond, 250 * time.Millisecond},
		1: {250 * time.Millisecond, 500 * time.Millisecond},
		6: {8 * time.Second, 16 * time.Second}, 7: {15 * time.Second, 30 * time.Second}, 1000: {15 * time.Second, 30 * time.Second},
	} {
		if got := [2]time.Duration{random(none).pause(n), random(most).pause(n)}; got != want {
			t.Errorf("pause %d is between %s, want %s", n, got, want)
		}
	}
}

func TestLineThatComesAgainAndAgainIsPutOffForLonger(t *testing.T) {
	t.Parallel()
	var least, bounds []time.Duration
	for _, n := range []int{1, 2, 3, 4, 5, 6, 100} {
		least, bounds = append(least, random(none).putOff(n)), append(bounds, random(most).putOff(n))
	}
	const s = time.Second
	if diff := cmp.Diff([]time.Duration{s, 2 * s, 4 * s, 8 * s, 15 * s, 15 * s, 15 * s}, least); diff != "" {
		t.Errorf("at least (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]time.Duration{2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s, 30 * s}, bounds); diff != "" {
		t.Errorf("at most (-want +got):\n%s", diff)
	}
}

func TestAnythingIsBelowItsBound(t *testing.T) {
	t.Parallel()
	seen := make(map[time.Duration]bool)
	for range 1000 {
		seen[anything(3)] = true
	}
	if diff := cmp.Diff(map[time.Duration]bool{0: true, 1: true, 2: true}, seen); diff != "" {
		t.Errorf("durations below 3 (-want +got):\n%s", diff)
	}
	if got := anything(0); got != 0 {
		t.Errorf("below 0: %s", got)
	}
}
