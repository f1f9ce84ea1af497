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

	mu sync.Mutex
	of map[place]pause
}

type pause struct {
	count int // how often in a row
	until time.Time
	trial int64 // the row that tries; 0 for none yet
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
// before next, if that is not zero.
func (s *pauses) look(p place, room int, now time.Time, inFlight func(seq int64) bool) (rows int, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, who := range [...]place{{typeID: p.typeID}, p} {
		switch last, paused := s.of[who]; {
		case !paused:
			continue
		case now.Before(last.until):
			return 0, last.until
		case last.trial != 0 && inFlight(last.trial):
			return 0, time.Time{}
		}
		room = min(room, 1)
	}
	return room, time.Time{}
}

// fed notes that a row of p was fed: it tries for those who paused.
func (s *pauses) fed(p place, seq int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, who := range [...]place{{typeID: p.typeID}, p} {
		if last, paused := s.of[who]; paused {
			last.trial = seq
			s.of[who] = last
		}
	}
}
