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

// Executions that end one a second: an idle hour before says nothing of how fast they are.
func TestPaceIsThatOfTheTimeWithWork(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		begun, from, to int // seconds: when there was work, and when executions ended
		at              time.Duration
		want            float64
	}{
		"work for half a second":           {0, 0, 0, 500 * time.Millisecond, 10},
		"work for two seconds":             {0, 0, 1, 2 * time.Second, 10},
		"work for a minute":                {0, 0, 59, 59 * time.Second, 10 * 60. / 59},
		"work for an hour":                 {0, 3000, 3600, time.Hour, 10},
		"nothing ends any more":            {0, 0, 29, 40 * time.Second, 7.5},
		"nothing has ended for long":       {0, 0, 29, time.Hour, 0},
		"none before the work counts":      {50, 45, 51, 52 * time.Second, 10},
		"none has ended yet but before it": {50, 40, 45, 52 * time.Second, 1},
		"clock that went back":             {50, 0, 29, 40 * time.Second, 5},
	} {
		var p pace
		for second := test.from; second <= test.to; second++ {
			p.add(epoch.Add(time.Duration(second)*time.Second), 10)
		}
		p.begin(epoch.Add(time.Duration(test.begun) * time.Second))
		if got := p.rate(epoch.Add(test.at), paceSeconds); got != test.want {
			t.Errorf("%s: %v ended a second, want %v", name, got, test.want)
		}
	}
}

func TestPaceBeginsWhenThereIsWork(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	want := func(want float64) {
		t.Helper()
		if got := l.Stats().MinuteRate; got != want {
			t.Errorf("%v ended a second, want %v", got, want)
		}
	}
	end := func(seq int64) {
		t.Helper()
		l.mustClaim(t, seq)
		l.mustEnd(t, succeeded(seq, 1))
	}
	l.pass(4 * time.Second) // nothing to do since the start
	l.mustAccept(t, example("a"), example("b"), example("c"))
	end(1)
	l.pass(2 * time.Second)
	end(2)
	want(1)
	end(3)
	l.pass(10 * time.Second)
	l.mustAccept(t, example("d"), example("e"))
	end(4)
	l.pass(2 * time.Second)
	want(0.5)
	l.mustAccept(t, example("f")) // while there still is some
	want(0.5)
	l.pass(time.Hour)
	want(0)
}

// What waits when the api starts has waited for nothing before.
func TestPaceBeginsWithTheProcess(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	l.mustAccept(t, example("a"), example("b"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.pass(time.Hour)
	again := open(t, l.dir, Options{now: l.time})
	again.mustClaim(t, 1)
	again.mustEnd(t, succeeded(1, 1))
	l.pass(2 * time.Second)
	if got := again.Stats().MinuteRate; got != 0.5 {
		t.Errorf("%v ended a second, want 0.5", got)
	}
}
