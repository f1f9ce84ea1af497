package queue

import (
	"slices"
	"sync"
	"time"

	"patchbay.dev/api/ledger"
)

// flight is what was fed and has not ended: it waits in the stream, or it runs.
//
// A place that has more in flight than is free gets no more, so that one that hangs
// leaves half of it to the others, and the next half of that.
type flight struct {
	slots int
	bytes int64

	mu     sync.Mutex
	all    load
	owed   []debt
	places map[place]load // no more of them than rows
	rows   map[int64]row
}

// place is a connector, or with its type alone all connectors of the type.
type place struct{ space, connector, typeID string }

func placeOf(p *ledger.Place) place { return place{p.Space, p.ConnectorID, p.Type} }

// load is what is in flight.
type load struct {
	rows    int
	waiting int // of them, not known to have begun: in the ledger they may still be due
	bytes   int64
}

type row struct {
	place place
	bytes int64
	fed   time.Time
	taken bool      // from the stream
	begun time.Time // and claimed; zero if not
}

func newFlight(o *Options) *flight {
	return &flight{slots: o.Slots, bytes: o.Bytes, places: make(map[place]load), rows: make(map[int64]row)}
}

// add must be called under the lock.
func (f *flight) add(p place, rows, waiting int, bytes int64) {
	l := f.places[p]
	f.all = load{f.all.rows + rows, f.all.waiting + waiting, f.all.bytes + bytes}
	f.places[p] = load{l.rows + rows, l.waiting + waiting, l.bytes + bytes}
	if f.places[p].rows == 0 {
		delete(f.places, p)
	}
}

// room returns how many further rows of a place may be in flight, and how many are that
// the ledger may still call due. A busy place waits until there is some room: many
// small tickets cost more than a few large ones.
func (f *flight) room(p place) (rows, waiting int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	mine, free := f.places[p], f.slots-f.all.rows
	rows = (free-mine.rows)/2 + 1
	if free <= 0 || mine.rows > free || rows < min(mine.rows/4, ticketRows) {
		return 0, mine.waiting
	}
	return rows, mine.waiting
}

// full tells whether no row of any place could be fed.
func (f *flight) full() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all.rows >= f.slots
}

// enter takes in the first of those that are due and not in flight, most at most.
// blocked is the size of the next one if it has to wait for bytes.
func (f *flight) enter(p place, due []ledger.Due, most int, now time.Time) (seqs []int64, blocked int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range due {
		if _, there := f.rows[d.Seq]; there {
			continue
		}
		if len(seqs) == most {
			break
		}
		size := int64(d.Bytes)
		if !f.fits(p, size, now) {
			return seqs, size
		}
		f.rows[d.Seq] = row{place: p, bytes: size, fed: now}
		f.add(p, 1, 1, size)
		seqs = append(seqs, d.Seq)
	}
	return seqs, 0
}

// blocked tells whether the next row of a place, of this size, still has to wait.
func (f *flight) blocked(p place, size int64, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.fits(p, size, now)
}

// take returns those of a ticket's rows that wait in the stream. They do no longer.
func (f *flight) take(seqs []int64) []int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(seqs, func(seq int64) bool {
		r, there := f.rows[seq]
		if !there || r.taken {
			return true
		}
		r.taken = true
		f.rows[seq] = r
		return false
	})
}

// begin notes that a row that was taken is claimed.
func (f *flight) begin(seq int64, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.rows[seq]
	r.begun = now
	f.rows[seq] = r
	f.add(r.place, 0, -1, 0)
}

// leave forgets a row that was taken.
func (f *flight) leave(seq int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remove(seq, f.rows[seq])
}

// forget forgets the rows that wait in the stream since before then: whoever has lost
// them, they are fed again. It returns how many they were.
func (f *flight) forget(then time.Time) (lost int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for seq, r := range f.rows {
		if !r.taken && r.fed.Before(then) {
			f.remove(seq, r)
			lost++
		}
	}
	return lost
}

// remove must be called under the lock.
func (f *flight) remove(seq int64, r row) {
	delete(f.rows, seq)
	waiting := 1
	if !r.begun.IsZero() {
		waiting = 0
	}
	f.add(r.place, -1, -waiting, -r.bytes)
}

// begun tells whether a row is in flight, and since when it runs; zero if it does not.
func (f *flight) begun(seq int64) (at time.Time, inFlight bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, there := f.rows[seq]
	return r.begun, there
}
