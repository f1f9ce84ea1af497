package ledger

import (
	"fmt"
	"testing"
	"time"

	"patchbay.dev/shared/wire"
)

func TestWatchersHearOfTheEnd(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	seq := l.mustAccept(t, example("a"))[0].Seq
	first, stopFirst := l.Watch("default", "a")
	second, stopSecond := l.Watch("default", "a")
	elsewhere, stopElsewhere := l.Watch("other", "a")
	third, stopThird := l.Watch("default", "a")
	stopThird()
	stopThird() // is nothing
	l.mustClaim(t, seq)
	l.mustEnd(t, failed(seq, 1, Queued))
	select {
	case <-first:
		t.Error("heard of an attempt that another follows")
	default:
	}
	l.mustClaim(t, seq)
	l.mustEnd(t, succeeded(seq, 2))
	<-first
	<-second
	<-third // shares it
	if e, _ := l.mustGet(t, "a"); e.Outcome != wire.OK {
		t.Errorf("outcome %s when it was told", e.Outcome)
	}
	select {
	case <-elsewhere:
		t.Error("heard of another space's")
	default:
	}
	stopFirst()
	stopSecond()
	stopElsewhere()
	if n := len(l.watches.waiting); n != 0 {
		t.Errorf("%d watches are left", n)
	}
}

func TestChangedIsSignalledForWhatIsQueued(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{SealParams: mark})
	changed := func(what string, want bool) {
		t.Helper()
		got := false
		select {
		case <-l.Changed():
			got = true
		default:
		}
		if got != want {
			t.Errorf("%s: changed %t, want %t", what, got, want)
		}
	}
	changed("empty", false)
	l.mustAccept(t, example("a"), example("b"))
	changed("accept", true)
	changed("once", false)
	l.mustClaim(t, 1)
	changed("claim", false)
	l.mustEnd(t, failed(1, 1, Queued))
	changed("another attempt", true)
	l.mustClaim(t, 1)
	l.mustEnd(t, failed(1, 2, Dead))
	changed("dead", false)
	if _, err := l.ReplayOne(t.Context(), "default", "a", nil); err != nil {
		t.Error(err)
	}
	changed("replay", true)
}

func TestPaceOfLateIsTheDrainTime(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	want := func(n int, want time.Duration, rate float64) {
		t.Helper()
		if got := l.DrainTime(n); got != want || l.Stats().Rate != rate {
			t.Errorf("%d drain in %s at %v per second, want %s at %v", n, got, l.Stats().Rate, want, rate)
		}
	}
	want(1, 30*time.Second, 0)
	l.mustAccept(t, example("waits")) // so that there is work all the time
	l.pass(6 * time.Second)
	for second := range 4 {
		for i := range 5 {
			seq := l.mustAccept(t, example(fmt.Sprint(second, "-", i)))[0].Seq
			l.mustClaim(t, seq)
			l.mustEnd(t, succeeded(seq, 1))
		}
		l.pass(time.Second)
	}
	want(1, time.Second, 2)
	want(15, 8*time.Second, 2)
	want(10_000, 30*time.Second, 2)
	l.pass(7 * time.Second)
	want(10, 10*time.Second, 1)
	l.pass(time.Hour)
	want(10, 30*time.Second, 0)
}
