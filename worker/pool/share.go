package pool

import (
	"errors"
	"sync"
)

// ErrBusy is what an executor returns that did not begin an execution because its
// destination has no room: the caller is told that the worker is busy.
var ErrBusy = errors.New("the worker is busy")

// shares knows who holds the slots of a worker. A connector, or a destination, that
// holds more slots than are free gets no further one: alone it has half of them and
// one more, and each further one that wants all it can get and gives nothing back has
// half of what is left. So who holds more is refused before who holds less, and a
// few that hang leave room for those that do not. (Two slots one may have both.)
//
// The maps are no larger than the number of slots.
type shares struct {
	slots       int // in all
	destination int // at most, of one destination

	mu           sync.Mutex
	held         int
	connectors   map[string]int // slots by connector id
	destinations map[string]int // slots by destination
}

// enter takes a slot for a connector and a destination, "" for none, and reports
// whether it did.
func (s *shares) enter(connector, destination string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine, free := s.connectors[connector], s.slots-s.held
	if free <= 0 || mine > free {
		return false
	}
	if destination != "" {
		theirs := s.destinations[destination]
		room := s.destination - theirs // its connectors share that in the same way
		if theirs > free || room <= 0 || mine > room {
			return false
		}
		s.destinations[destination] = theirs + 1
	}
	s.connectors[connector] = mine + 1
	s.held++
	return true
}

// leave gives the slot back.
func (s *shares) leave(connector, destination string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held--
	release(s.connectors, connector)
	if destination != "" {
		release(s.destinations, destination)
	}
}

func release(counts map[string]int, key string) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}
