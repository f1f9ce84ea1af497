package index

import (
	"time"

	"patchbay.dev/worker/outbound"
)

// flight is a place among the bulks in flight.
//
// A bulk is answered when the last of its indices has answered. One without its
// primary shard takes a minute for that, and would hold up all who share bulks
// with it. So a flight that lasts too long gives its place back, and its indices
// are suspects: each leaves by itself and takes no place, with a bulk on trial at
// a time, until one lands in time.
type flight struct {
	b      *batcher
	target string    // the first one's
	batch  []*member // nil for a caller who did not wait
	trial  bool
	slow   *time.Timer
	cuts   int           // of the limit, when it began
	sign   outbound.Sign // what came of its requests; of who sends them

	// Under the batcher's mu.
	overdue, landed bool
}

// airborneMost is how many flights there may be in all, in places in flight: also
// when everything is slow, a cluster gets no more at once. Suspects leave one part
// in eight to the others.
const airborneMost = 8

// takeOff takes a place. mu is held.
func (b *batcher) takeOff(target string, batch []*member) *flight {
	b.airborne++
	f := &flight{b: b, target: target, batch: batch, trial: b.isSuspect(target), cuts: b.e.limit.Cuts()}
	if f.trial {
		b.suspects[target] = f
	} else {
		b.inFlight++
	}
	f.slow = time.AfterFunc(b.e.patience, f.delay)
	return f
}

// giveBack gives the place back. mu is held.
func (f *flight) giveBack() {
	if f.trial {
		f.b.suspects[f.target] = nil
	} else {
		f.b.inFlight--
	}
}

// hear takes what came of one of several requests: the worst counts.
func (f *flight) hear(sign outbound.Sign) { f.sign = max(f.sign, sign) }

// land ends a flight.
func (f *flight) land() {
	f.b.mu.Lock()
	defer f.b.mu.Unlock()
	f.landed = true
	f.slow.Stop()
	f.b.airborne--
	f.b.e.limit.Learn(f.sign, f.b.inFlight, f.cuts)
	if !f.overdue {
		f.giveBack()
		if f.trial {
			delete(f.b.suspects, f.target)
		}
	}
	f.b.dispatch()
}

// delay tells that a flight lasts too long.
func (f *flight) delay() {
	f.b.mu.Lock()
	defer f.b.mu.Unlock()
	if f.landed || f.overdue {
		return
	}
	f.overdue = true
	f.giveBack()
	f.b.suspect(f.target)
	for _, m := range f.batch {
		f.b.suspect(m.target)
	}
	f.b.dispatch()
}

// maxSuspects bounds what is remembered of indices that nobody writes to any more.
const maxSuspects = 10_000

func (b *batcher) suspect(target string) {
	if !b.isSuspect(target) && len(b.suspects) < maxSuspects {
		b.suspects[target] = nil
	}
}

func (b *batcher) isSuspect(target string) bool {
	_, ok := b.suspects[target]
	return ok
}

// mayLeave reports whether there is a place for an execution. mu is held.
func (b *batcher) mayLeave(target string) bool {
	if trial, ok := b.suspects[target]; ok {
		return trial == nil && b.e.limit.Allows(b.airborne/(airborneMost-1))
	}
	// Not in places as they are now: what hangs since there were more would leave
	// nothing to others.
	return b.e.limit.Allows(b.inFlight) && b.airborne < airborneMost*b.e.batching.InFlight
}

// mayJoin reports whether executions for two indices may share a bulk.
func (b *batcher) mayJoin(first, target string) bool {
	return first == target || !b.isSuspect(first) && !b.isSuspect(target)
}
