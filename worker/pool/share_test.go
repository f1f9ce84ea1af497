package pool

import (
	"fmt"
	"testing"
)

func newShares(slots, destination int) *shares {
	return &shares{slots: slots, destination: destination, connectors: make(map[string]int), destinations: make(map[string]int)}
}

// fill takes slots until it is refused and returns how many it got.
func (s *shares) fill(connector, destination string) (n int) {
	for s.enter(connector, destination) {
		n++
	}
	return n
}

func TestNobodyGetsAllSlotsAlone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		slots, destinationSlots int
		connector, destination  int // what one connector gets, and what many of one destination get
	}{
		{1, 1, 1, 1}, // too few to share
		{2, 2, 2, 2},
		{3, 3, 2, 2},
		{64, 64, 33, 33},
		{64, 10, 6, 10},
		{64, 1, 1, 1},
		{64, 99, 33, 33}, // more than there are
		{2048, 1024, 513, 1024},
	} {
		if got := newShares(test.slots, test.destinationSlots).fill("c", "d"); got != test.connector {
			t.Errorf("%d slots, %d a destination: one connector gets %d, want %d", test.slots, test.destinationSlots, got, test.connector)
		}
		s, got := newShares(test.slots, test.destinationSlots), 0
		for i := range 2 * test.slots {
			if s.enter(fmt.Sprint(i), "d") {
				got++
			}
		}
		if got != test.destination {
			t.Errorf("%d slots, %d a destination: one destination gets %d, want %d", test.slots, test.destinationSlots, got, test.destination)
		}
	}
}

// What hangs gives nothing back, and each takes all it can get.
func TestAFewThatHangLeaveRoomForOneMore(t *testing.T) {
	t.Parallel()
	for hanging := 1; hanging <= 5; hanging++ {
		s := newShares(64, 48)
		for i := range hanging {
			s.fill(fmt.Sprint("hanging ", i), fmt.Sprint("host ", i))
		}
		if !s.enter("healthy", "other host") {
			t.Errorf("%d hanging connectors have left no room: %v", hanging, s.connectors)
		}
		s = newShares(64, 32)
		for i := range hanging {
			s.fill(fmt.Sprint("hanging ", i), "host")
		}
		if hanging < 5 && !s.enter("healthy", "host") {
			t.Errorf("%d connectors of one destination have left no room there: %v", hanging, s.connectors)
		}
		if got := s.fill("healthy", "other host"); got < 16 {
			t.Errorf("one destination of %d connectors has left room for %d: %v", hanging, got, s.connectors)
		}
	}
}

// Whatever came first, who holds more is refused and who holds less gets in, until
// both hold the same.
func TestConnectorsThatWantAllGetTheSame(t *testing.T) {
	t.Parallel()
	s := newShares(100, 100)
	s.fill("first", "")
	for range 200 { // each ends one, and both want more, the first one first
		for _, c := range []string{"first", "second"} {
			if s.connectors[c] > 0 {
				s.leave(c, "")
			}
			s.fill("first", "")
			s.fill("second", "")
		}
	}
	one, other := s.connectors["first"], s.connectors["second"]
	if one-other > 1 || other-one > 1 || one+other < 66 {
		t.Errorf("they hold %d and %d of 100 slots", one, other)
	}
}

func TestSharesForgetWhoHoldsNothing(t *testing.T) {
	t.Parallel()
	s := newShares(10, 10)
	for i := range 1000 {
		name := fmt.Sprint(i)
		if !s.enter(name, name) {
			t.Fatalf("%d was refused", i)
		}
		s.leave(name, name)
	}
	if len(s.connectors)+len(s.destinations) > 0 || s.held != 0 {
		t.Errorf("left: %v, %v, %d held", s.connectors, s.destinations, s.held)
	}
}

func BenchmarkShare(b *testing.B) {
	s := newShares(1024, 768)
	for b.Loop() {
		s.enter("c55b6eb0-6bad-11eb-9f3b-611eebc6c3ad", ".jira example.atlassian.net")
		s.leave("c55b6eb0-6bad-11eb-9f3b-611eebc6c3ad", ".jira example.atlassian.net")
	}
}
