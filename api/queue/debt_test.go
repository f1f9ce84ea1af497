package queue

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

// sharing is a flight of 100 bytes and a clock.
type sharing struct {
	*testing.T
	*flight
	now  time.Time
	last int64
}

func share(t *testing.T) *sharing {
	return &sharing{t, newFlight(&Options{Slots: 1000, Bytes: 100}), time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC), 0}
}

// feed tries one row and returns its number; 0 if it has to wait.
func (s *sharing) feed(p place, size int) int64 {
	s.last++
	if seqs, _ := s.enter(p, rows(s.last, size), 1, s.now); len(seqs) == 0 {
		return 0
	}
	return s.last
}

func (s *sharing) want(p place, size int, fed bool) (seq int64) {
	s.Helper()
	seq = s.feed(p, size)
	if (seq != 0) != fed {
		s.Errorf("%d bytes of %s with %d in flight: fed %t, want %t", size, p.connector, s.all.bytes, seq != 0, fed)
	}
	return seq
}

func (s *sharing) end(seq int64) {
	s.take([]int64{seq})
	s.leave(seq)
}

func TestOthersHaveHalfWhileARowWaitsForBytes(t *testing.T) {
	t.Parallel()
	s := share(t)
	hangs := s.want(placeA, 30, true)
	s.want(placeA, 80, false)
	small := s.want(placeB, 40, true)
	s.want(placeC, 11, false) // that would be more than half
	s.want(placeC, 10, true)
	s.end(small)
	s.want(placeB, 30, true)
	s.end(hangs)
	s.want(placeA, 80, false) // 40 are taken
	s.now = s.now.Add(debtAge)
	s.want(placeB, 1, false) // it had its time
	s.want(placeA, 60, true)
	for _, d := range s.owed {
		if d.place == placeA {
			t.Errorf("still owed: %+v", d)
		}
	}
}

func TestDebtToAPlaceThatAsksNoMoreIsForgiven(t *testing.T) {
	t.Parallel()
	s := share(t)
	s.want(placeB, 50, true)
	s.want(placeA, 60, false)
	if s.flight.forgive(s.now) {
		t.Error("forgiven in the round in which it asked")
	}
	s.want(placeC, 10, false)
	if !s.flight.forgive(s.now) {
		t.Error("not forgiven though it did not ask")
	}
	s.want(placeC, 10, true)
	s.flight.forgive(s.now)
	if s.flight.forgive(s.now) {
		t.Error("forgiven though nothing was owed")
	}
}

// Rows of all sizes compete, also of one that is larger than all bytes: the small ones
// go on, and each of the large ones has its turn.
func TestNoPlaceIsStarvedOfBytes(t *testing.T) {
	t.Parallel()
	s := share(t)
	places := []struct {
		place
		size, least int
	}{
		{placeA, 150, 20}, {placeB, 60, 20}, {placeC, 30, 50}, {place{"default", "d", ".jira"}, 3, 1000}, {place{"default", "e", ".jira"}, 1, 1000},
	}
	fed := make(map[place]int)
	ends := make(map[int64]time.Time)
	for step := range 5000 {
		s.now = s.now.Add(200 * time.Millisecond)
		for seq, at := range ends {
			if !s.now.Before(at) {
				s.end(seq)
				delete(ends, seq)
			}
		}
		for i := range places {
			p := places[(i+step)%len(places)]
			for seq := s.feed(p.place, p.size); seq != 0; seq = s.feed(p.place, p.size) {
				fed[p.place]++
				ends[seq] = s.now.Add(time.Duration(1+seq%7) * 150 * time.Millisecond)
			}
		}
		s.flight.forgive(s.now)
	}
	for _, p := range places {
		if fed[p.place] < p.least {
			t.Errorf("of %s, of %d bytes each, %d rows were fed, want %d at least", p.connector, p.size, fed[p.place], p.least)
		}
	}
}

func TestLargeRowThatWaitsStopsNobodyElse(t *testing.T) {
	t.Parallel()
	b := setup(t) // with 1 MiB of params
	hangs, release := make(chan string, 10), make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	c := newCounter()
	b.run = func(ctx context.Context, job *ledger.Job) (wire.Reply, error) {
		if job.ConnectorID == "a" {
			hangs <- job.ID
			<-release
		}
		return c.run(ctx, job)
	}
	large := func(size int) func(*ledger.Submission) {
		return func(s *ledger.Submission) { s.Params = []byte(`"` + strings.Repeat("x", size) + `"`) }
	}
	b.start()
	t.Cleanup(free)
	ids := b.accept("a", 1, large(300<<10))
	receive(t, hangs)
	ids = append(ids, b.accept("a", 1, large(800<<10))...)
	for range 10 {
		b.allDone(b.accept("z", 2))
	}
	free()
	b.allDone(ids)
}
