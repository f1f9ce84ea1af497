package ledger

import (
	"container/list"
	"math"
	"sync"
	"time"
)

// Place is a connector that has executions queued.
type Place struct {
	Space, ConnectorID, Type string
	Queued                   int // and not claimed
}

// place is what a [Place] is known by.
type place struct{ space, connector, typeID string }

// count is how many executions of a place wait, and how many wait or run.
type count struct{ waiting, active int }

// queue counts the executions that are not ended. The writing goroutine alone changes
// it, after a commit; so it may read without the lock.
type queue struct {
	mu     sync.Mutex
	places map[place]count
	active int // of all of them
	waits  int // likewise

	version uint64    // grows with every transaction that changed places
	changes list.List // of change, the latest first; none for what was there at the start
	change  map[place]*list.Element
}

// change is when a place changed last.
type change struct {
	place   place
	version uint64
}

// add counts what a transaction changed.
func (q *queue) add(changes map[place]count) {
	if len(changes) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.version++
	for p, change := range changes {
		c := q.places[p]
		c.waiting += change.waiting
		c.active += change.active
		q.active += change.active
		q.waits += change.waiting
		if c == (count{}) {
			q.forget(p) // connectors come and go
			continue
		}
		q.places[p] = c
		q.note(p) // also if the sum is the same: others are due, or at other times
	}
}

// note puts a place first among those that changed.
func (q *queue) note(p place) {
	now := change{p, q.version}
	if e := q.change[p]; e != nil {
		e.Value = now
		q.changes.MoveToFront(e)
		return
	}
	if q.change == nil {
		q.change = make(map[place]*list.Element)
	}
	q.change[p] = q.changes.PushFront(now)
}

func (q *queue) forget(p place) {
	delete(q.places, p)
	if e := q.change[p]; e != nil {
		q.changes.Remove(e)
		delete(q.change, p)
	}
}

// Places returns the connectors that have executions queued, in no order.
func (l *Ledger) Places() []Place {
	places, _ := l.PlacesSince(0)
	return places
}

// PlacesSince returns those of [Ledger.Places] of whose executions one was queued, also
// again, or claimed or discarded since version, and the version of now; with 0 it
// returns all. What [Ledger.Due] said of the others after version was returned is still
// true.
func (l *Ledger) PlacesSince(version uint64) (places []Place, now uint64) {
	q := &l.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	add := func(p place) {
		if c := q.places[p]; c.waiting > 0 {
			places = append(places, Place{Space: p.space, ConnectorID: p.connector, Type: p.typeID, Queued: c.waiting})
		}
	}
	if version == 0 {
		places = make([]Place, 0, len(q.places))
		for p := range q.places {
			add(p)
		}
		q.version = max(q.version, 1) // the next question is not for all
		return places, q.version
	}
	for e := q.changes.Front(); e != nil; e = e.Next() {
		c := e.Value.(change)
		if c.version <= version {
			break
		}
		add(c.place)
	}
	return places, q.version
}

// Changed is signalled (capacity 1) when executions were queued, also again.
func (l *Ledger) Changed() <-chan struct{} { return l.changed }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// DrainTime is how long, at the pace of late, until n of those queued have ended:
// between 1 s and 30 s.
func (l *Ledger) DrainTime(n int) time.Duration {
	rate := l.pace.rate(l.options.now(), lately)
	if rate == 0 {
		return 30 * time.Second
	}
	return time.Duration(math.Ceil(min(max(float64(n)/rate, 1), 30))) * time.Second
}

// How many seconds ago "of late" begins, and what is counted begins.
const (
	lately      = 10
	paceSeconds = 60
)

// pace counts what ended in each of the last seconds.
type pace struct {
	mu    sync.Mutex
	ended [paceSeconds]int
	last  int64     // the second that was counted last
	begun time.Time // when there was no work for the last time
}

// begin says that there was no work until now.
func (p *pace) begin(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = now
}

func (p *pace) add(now time.Time, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(now)
	p.ended[now.Unix()%paceSeconds] += n
}

// rate returns how many ended a second in the last so many seconds or, if work has gone
// on for less, since it began: the time before says nothing of how fast it is. Until
// the first has ended there is nothing else to go by.
func (p *pace) rate(now time.Time, seconds int64) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(now)
	if gone := now.Sub(p.begun).Seconds(); gone < float64(seconds) {
		if n := p.sum(min(p.last-p.begun.Unix()+1, seconds)); n > 0 {
			return float64(n) / max(gone, 1)
		}
	}
	return float64(p.sum(seconds)) / float64(seconds)
}

// sum returns how many ended in the last so many seconds.
func (p *pace) sum(seconds int64) (n int) {
	for i := range seconds {
		n += p.ended[(p.last-i)%paceSeconds]
	}
	return n
}

// forget empties the seconds that passed since the last one that was counted.
func (p *pace) forget(now time.Time) {
	second := now.Unix()
	for i := max(p.last+1, second-paceSeconds+1); i <= second; i++ {
		p.ended[i%paceSeconds] = 0
	}
	p.last = max(p.last, second)
}
