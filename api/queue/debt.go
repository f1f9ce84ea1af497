package queue

import (
	"slices"
	"time"
)

const (
	// debtAge is how long a row that is larger than half of all bytes waits for the others
	// to leave enough of their own accord.
	debtAge = 10 * time.Second
	// maxDebts bounds what is looked through for every place.
	maxDebts = 16
)

// debt is what a place is owed whose next row does not fit into what is free. They are
// paid in the order in which they were made.
//
// While the first one waits the others have half of the bytes, so that one place can
// neither stop them nor be starved by them. Where half is not enough they begin nothing
// more after a while.
type debt struct {
	place   place
	bytes   int64
	first   time.Time // since when it is the first one
	renewed bool      // in this round
}

// leaves is how many bytes the others may have.
func (d *debt) leaves(all int64, now time.Time) int64 {
	if now.Sub(d.first) < debtAge {
		return all / 2
	}
	return max(min(all/2, all-d.bytes), 0)
}

// fits tells whether a row of p, the next one, may be fed. If it has to wait for bytes
// it is owed them. It must be called under the lock.
func (f *flight) fits(p place, size int64, now time.Time) bool {
	free, mine := f.bytes-f.all.bytes, f.places[p].bytes
	if mine > 0 && mine > free {
		return false // it has its share
	}
	at := slices.IndexFunc(f.owed, func(d debt) bool { return d.place == p })
	fits := size <= free || f.all.rows == 0 // alone, if it is larger than all there is
	if len(f.owed) > 0 && at != 0 {
		first := &f.owed[0]
		fits = fits && f.all.bytes-f.places[first.place].bytes+size <= first.leaves(f.bytes, now)
	}
	switch {
	case fits && at >= 0:
		f.pay(at, now)
	case fits:
	case at >= 0:
		f.owed[at].bytes, f.owed[at].renewed = size, true
	case len(f.owed) < maxDebts:
		f.owed = append(f.owed, debt{place: p, bytes: size, first: now, renewed: true})
	}
	return fits
}

func (f *flight) pay(at int, now time.Time) {
	f.owed = slices.Delete(f.owed, at, at+1)
	if at == 0 && len(f.owed) > 0 {
		f.owed[0].first = now
	}
}

// forgive drops the debts to places that did not ask for them in the round that ends
// here: they may have nothing due any more, or pause. It reports whether there were any.
func (f *flight) forgive(now time.Time) (dropped bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for at := range slices.Backward(f.owed) {
		if f.owed[at].renewed {
			f.owed[at].renewed = false
			continue
		}
		f.pay(at, now)
		dropped = true
	}
	return dropped
}
