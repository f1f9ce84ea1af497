package queue

import (
	"container/heap"
	"time"

	"patchbay.dev/api/ledger"
)

// agenda is which places have something due, as far as is known, and when others will:
// of thousands that wait for their next attempt none costs anything until then.
type agenda struct {
	version uint64          // of the ledger, up to which its changes are known
	ready   map[place]int64 // with the size of the next row if that had no room; else 0
	later   map[place]*entry
	times   times
}

// entry says when a place is ready again.
type entry struct {
	place place
	at    time.Time
	index int // in times
}

func newAgenda() *agenda {
	return &agenda{ready: make(map[place]int64), later: make(map[place]*entry)}
}

// update makes those ready that changed in the ledger, and whose time has come.
func (a *agenda) update(l *ledger.Ledger, now time.Time) {
	var changed []ledger.Place
	changed, a.version = l.PlacesSince(a.version)
	for i := range changed {
		a.wake(placeOf(&changed[i]))
	}
	for len(a.times) > 0 && !now.Before(a.times[0].at) {
		a.wake(a.times[0].place)
	}
}

func (a *agenda) wake(p place) {
	if e := a.later[p]; e != nil {
		heap.Remove(&a.times, e.index)
		delete(a.later, p)
	}
	a.ready[p] = 0
}

// putOff takes a ready place of which nothing is due before next or, if that is zero,
// before it changes.
func (a *agenda) putOff(p place, next time.Time) {
	delete(a.ready, p)
	if next.IsZero() {
		return
	}
	e := &entry{place: p, at: next}
	a.later[p] = e
	heap.Push(&a.times, e)
}

// next is when the next place is ready; zero if none is before it changes.
func (a *agenda) next() time.Time {
	if len(a.times) == 0 {
		return time.Time{}
	}
	return a.times[0].at
}

// times is a heap of entries, the earliest first.
type times []*entry

func (t times) Len() int           { return len(t) }
func (t times) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t times) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}

// Push implements [heap.Interface].
func (t *times) Push(x any) {
	e := x.(*entry)
	e.index = len(*t)
	*t = append(*t, e)
}

// Pop implements [heap.Interface].
func (t *times) Pop() any {
	last := len(*t) - 1
	e := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	return e
}
