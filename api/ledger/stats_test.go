package ledger

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStatsTellWhatWaitsRunsAndDied(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{SealParams: mark})
	want := func(what string, queued, waiting int, buried uint64, dead int, oldest time.Duration) {
		t.Helper()
		s := l.Stats()
		letters, err := l.DeadLetters()
		if err != nil {
			t.Fatal(err)
		}
		waited, err := l.Oldest()
		if err != nil {
			t.Fatal(err)
		}
		type figures struct {
			Queued, Waiting int
			Buried          uint64
			Dead            int
			Oldest          time.Duration
		}
		if diff := cmp.Diff(figures{queued, waiting, buried, dead, oldest}, figures{s.Queued, s.Waiting, s.Buried, letters, waited}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	want("empty", 0, 0, 0, 0, 0)
	other := example("b")
	other.ConnectorID = "other"
	l.mustAccept(t, example("a"), other)
	l.pass(3 * time.Second)
	l.mustAccept(t, example("c"))
	want("accepted", 3, 3, 0, 0, 3*time.Second)
	l.mustClaim(t, 1)
	l.mustClaim(t, 2)
	l.pass(time.Second)
	want("two run", 3, 1, 0, 0, time.Second)
	l.mustEnd(t, succeeded(1, 1))
	l.mustEnd(t, failed(2, 1, Dead))
	want("one ended, one died", 1, 1, 1, 1, time.Second)
	if _, err := l.ReplayOne(t.Context(), "default", "b", nil); err != nil {
		t.Fatal(err)
	}
	want("replayed", 2, 2, 1, 0, time.Second)
	l.mustClaim(t, 3)
	later := failed(3, 1, Queued)
	later.DueAt = l.time().Add(time.Hour)
	l.mustEnd(t, later)
	want("one waits for its time", 2, 2, 1, 0, 0)
	if err := l.Discard(t.Context(), "default", "b"); err != nil {
		t.Fatal(err)
	}
	want("discarded", 1, 1, 1, 0, 0)
}

func TestStatsCountWhatIsWritten(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	l.mustAccept(t, example("a"), example("b"))
	l.Log(record("c"))
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The sweep at the start may have written, too, but found nothing.
	if got := l.Stats(); got.Rows != 3 || got.Commits != 2 {
		t.Errorf("%d rows in %d commits, want 3 in 2", got.Rows, got.Commits)
	}
}

// A process that died with an execution counts the dead letter that it made of it.
func TestWhatDiedWithItsProcessIsBuried(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{SealParams: mark})
	unsafe := example("a")
	unsafe.Safe = false
	l.mustAccept(t, unsafe, example("b"))
	l.mustClaim(t, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, l.dir, Options{SealParams: mark, now: l.time})
	if got := again.Stats(); got.Buried != 1 || got.Queued != 1 || got.Waiting != 1 {
		t.Errorf("%+v, want one that was buried and one that waits", got)
	}
}

func TestPaceOfTheLastMinute(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	want := func(want float64) {
		t.Helper()
		if got := l.Stats().MinuteRate; got != want {
			t.Errorf("%v ended a second, want %v", got, want)
		}
	}
	for second := range 30 {
		l.mustAccept(t, example(string(rune('a'+second))))
		l.mustClaim(t, int64(second+1))
		l.mustEnd(t, succeeded(int64(second+1), 1))
		l.pass(time.Second)
	}
	want(0.5)
	l.pass(29 * time.Second)
	want(0.5)
	l.pass(15 * time.Second)
	want(0.25)
	l.pass(time.Hour)
	want(0)
}
