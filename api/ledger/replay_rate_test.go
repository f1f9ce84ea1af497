package ledger

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
)

func TestSpreadIsBounded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		i         int
		perSecond float64
		want      time.Duration
	}{
		{5, 0, 0}, {5, -1, 0}, {5, 10, 500 * time.Millisecond}, {0, 1e-10, 0}, {5, 1e-10, maxSpread}, {1 << 40, 1e-3, maxSpread},
		{1, math.SmallestNonzeroFloat64, maxSpread}, {1, math.Inf(1), 0},
	} {
		if got := spread(tt.i, tt.perSecond); got != tt.want {
			t.Errorf("%d at %g/s: %s, want %s", tt.i, tt.perSecond, got, tt.want)
		}
	}
}

// The age of what waits for its turn counts from its turn, and what it did to workers
// before is forgotten.
func TestReplayedLetterBeginsAnew(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{SealParams: mark})
	for i := range 3 {
		e := l.mustAccept(t, example(fmt.Sprint(i)))[0]
		l.mustClaim(t, e.Seq)
		end := failed(e.Seq, 1, Dead)
		end.Lost = true
		l.mustEnd(t, end)
	}
	if n, _, err := l.Replay(t.Context(), Filter{}, 0.001, false, nil); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	for i := range 3 {
		e, _ := l.mustGet(t, fmt.Sprint(i))
		want := l.time().Add(time.Duration(i) * 1000 * time.Second)
		if !e.QueuedAt.Equal(want) || !e.DueAt.Equal(want) {
			t.Errorf("%d: queued %s, due %s, want %s", i, e.QueuedAt, e.DueAt, want)
		}
	}
	if job := l.mustClaim(t, 1); job.Lost != 0 {
		t.Errorf("lost %d", job.Lost)
	}
}

func TestReplayReplacesTheAccess(t *testing.T) {
	t.Parallel()
	first, second := &wire.Access{Key: "first", Indices: []string{"a"}}, &wire.Access{Key: "second"}
	for _, all := range []bool{false, true} {
		for _, access := range []*wire.Access{nil, second} {
			l := setup(t, Options{SealParams: mark})
			s := example("a")
			s.Access = first
			seq := l.kill(t, s).Seq
			var err error
			if all {
				_, _, err = l.Replay(t.Context(), Filter{}, 0, false, access)
			} else {
				_, err = l.ReplayOne(t.Context(), "default", "a", access)
			}
			if err != nil {
				t.Fatal(err)
			}
			want := first
			if access != nil {
				want = second
			}
			if diff := cmp.Diff(want, l.mustClaim(t, seq).Access); diff != "" {
				t.Errorf("all %t (-want +got):\n%s", all, diff)
			}
		}
	}
}
