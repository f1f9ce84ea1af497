package queue

import (
	"errors"
	"sync"
	"time"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/api/ledger"
)

// pauses are the types and places of which nothing could be run lately. After a pause
// one row tries for all of them; they follow when it was run.
type pauses struct {
	random random
	trial  time.Duration // how long one row keeps the others waiting

	mu sync.Mutex
	of map[place]pause
}

// longestTrial is long for a broker to say that there is no worker: that takes
// milliseconds. What runs for longer has found one, however it ends.
const longestTrial = time.Second

type pause struct {
	count int // how often in a row
	until time.Time
	trial int64 // the row that tries; 0 for none yet
	fed   time.Time
}

// whose returns who pauses when nothing was run for this reason. Workers that were
// busy may have been so with this connector alone: it is given a share of them.
func whose(err error, p place) place {
	if errors.Is(err, dispatch.ErrNoWorker) || errors.Is(err, dispatch.ErrDisconnected) {
		return place{typeID: p.typeID}
	}
	return p
}

// ended notes how the attempt of a row of p came out.
func (s *pauses) ended(e *ledger.Ending, err error, p place, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who := whose(err, p)
	switch {
	case errors.Is(err, errTooOld):
		return // nobody was asked
	case err != nil && e.State == ledger.Dead && e.Class != ledger.Expired:
		delete(s.of, p) // it ended without a worker
		return
	case who == p: // there are workers
		delete(s.of, place{typeID: p.typeID})
	}
	if err == nil {
		delete(s.of, p)
		return
	}
	last := s.of[who]
	if now.Before(last.until) || last.trial != 0 && last.trial != e.Seq {
		return // of those that were fed before the pause
	}
	s.of[who] = pause{count: last.count + 1, until: now.Add(s.random.pause(last.count))}
}

// look tells how many rows of p may be fed, of those that there is room for; none
// before next, if that is not zero. begun tells of a row in flight when it began; zero if
// it has not.
func (s *pauses) look(p place, room int, now time.Time, begun func(seq int64) (at time.Time, inFlight bool)) (rows int, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, who := range [...]place{{typeID: p.typeID}, p} {
		last, paused := s.of[who]
		if !paused {
			continue
		}
		if now.Before(last.until) {
			return 0, last.until
		}
		if at, inFlight := begun(last.trial); inFlight {
			over := last.fed.Add(s.trial)
			if !at.IsZero() {
				over = at.Add(s.trial)
			}
			if now.Before(over) {
				return 0, over
			}
			if who != p && !at.IsZero() {
				delete(s.of, who) // it found a worker
				continue
			}
		}
		room = min(room, 1)
	}
	return room, time.Time{}
}

// fed notes that a row of p was fed: it tries for those who paused.
func (s *pauses) fed(p place, seq int64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, who := range [...]place{{typeID: p.typeID}, p} {
		if last, paused := s.of[who]; paused {
			last.trial, last.fed = seq, now
			s.of[who] = last
		}
	}
}
