package queue

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/api/ledger"
)

// rows returns executions with these sizes, which are numbered from first on.
func rows(first int64, sizes ...int) []ledger.Due {
	due := make([]ledger.Due, len(sizes))
	for i, size := range sizes {
		due[i] = ledger.Due{Seq: first + int64(i), Bytes: size}
	}
	return due
}

var (
	placeA = place{"default", "a", ".index"}
	placeB = place{"default", "b", ".index"}
	placeC = place{"default", "c", ".jira"}
)

func has(f *flight, seq int64) bool {
	_, there := f.begun(seq)
	return there
}

func TestAPlaceLeavesOthersHalfOfWhatIsFree(t *testing.T) {
	t.Parallel()
	f := newFlight(&Options{Slots: 100, Bytes: 1 << 20})
	var got []int
	for i, p := range []place{placeA, placeB, placeC, placeA} {
		room, _ := f.room(p)
		got = append(got, room)
		f.enter(p, rows(int64(1000*i), make([]int, room)...), room, time.Now())
	}
	if diff := cmp.Diff([]int{51, 25, 13, 0}, got); diff != "" {
		t.Errorf("room that places find, one after the other (-want +got):\n%s", diff)
	}
	alone := newFlight(&Options{Slots: 1, Bytes: 1})
	if room, _ := alone.room(placeA); room != 1 {
		t.Errorf("of one slot a place may have %d", room)
	}
}

func TestBytesAreShared(t *testing.T) {
	t.Parallel()
	f := newFlight(&Options{Slots: 100, Bytes: 100})
	enter := func(p place, due []ledger.Due, want []int64, wantBlocked int64) {
		t.Helper()
		got, blocked := f.enter(p, due, 50, time.Now())
		if diff := cmp.Diff(want, got); diff != "" || blocked != wantBlocked {
			t.Errorf("fed (-want +got):\n%s blocked: %d, want %d", diff, blocked, wantBlocked)
		}
	}
	enter(placeA, rows(1, 20, 20, 20, 20), []int64{1, 2, 3}, 20) // with 60 of 100 it has its share
	enter(placeB, rows(10, 50), nil, 50)                         // owed to it, as soon as there is room
	enter(placeB, rows(11, 30, 5, 5), []int64{11}, 5)
	f.take([]int64{1})
	f.leave(1)
	enter(placeB, rows(12, 5), []int64{12}, 0)
	f.take([]int64{2, 3, 11, 12})
	for _, seq := range []int64{2, 3, 11, 12} {
		f.leave(seq)
	}
	if diff := cmp.Diff(load{}, f.all, cmp.AllowUnexported(load{})); diff != "" || len(f.places) > 0 || len(f.rows) > 0 {
		t.Errorf("what is in flight at the end: %+v", f)
	}
	enter(placeA, rows(20, 1000, 1), []int64{20}, 1) // larger than all there is: alone
	enter(placeB, rows(30, 1), nil, 1)
}

func TestARowIsInFlightOnce(t *testing.T) {
	t.Parallel()
	f := newFlight(&Options{Slots: 100, Bytes: 1 << 20})
	now := time.Now()
	f.enter(placeA, rows(1, 1, 1, 1), 2, now)
	if got, _ := f.enter(placeA, rows(1, 1, 1, 1), 2, now); !cmp.Equal(got, []int64{3}) {
		t.Errorf("fed again: %v, want only 3, which was not", got)
	}
	if got := f.take([]int64{1, 99, 1}); !cmp.Equal(got, []int64{1}) {
		t.Errorf("taken %v, want 1 once, and not what was never fed", got)
	}
	if got := f.take([]int64{1}); len(got) > 0 {
		t.Errorf("taken again: %v", got)
	}
	waiting := func(want int) {
		t.Helper()
		if _, got := f.room(placeA); got != want {
			t.Errorf("the ledger may call %d due that are in flight, want %d", got, want)
		}
	}
	waiting(3) // it is not claimed yet
	f.begin(1, now)
	waiting(2)
	f.leave(1)
	waiting(2)
	f.take([]int64{2})
	f.leave(2) // could not be claimed
	waiting(1)
	if has(f, 1) || has(f, 2) || !has(f, 3) {
		t.Errorf("in flight: %v, want 3 alone", f.rows)
	}
}

func TestOnlyWhatWaitsIsForgotten(t *testing.T) {
	t.Parallel()
	f := newFlight(&Options{Slots: 100, Bytes: 1 << 20})
	now := time.Now()
	f.enter(placeA, rows(1, 1, 1), 2, now)
	f.enter(placeB, rows(3, 1), 1, now.Add(time.Second))
	f.take([]int64{1})
	if got := f.forget(now.Add(time.Second)); got != 1 || !has(f, 1) || has(f, 2) || !has(f, 3) {
		t.Errorf("%d forgotten, in flight %v, want 2 alone forgotten", got, f.rows)
	}
	if diff := cmp.Diff(load{rows: 2, waiting: 2, bytes: 2}, f.all, cmp.AllowUnexported(load{})); diff != "" {
		t.Errorf("in flight (-want +got):\n%s", diff)
	}
}
