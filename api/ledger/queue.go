package ledger

import (
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
	active int
}

// add counts what a transaction changed.
func (q *queue) add(changes map[place]count) {
	if len(changes) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for p, change := range changes {
		c := q.places[p]
		c.waiting += change.waiting
		c.active += change.active
		q.active += change.active
		if c == (count{}) {
			delete(q.places, p) // connectors come and go
			continue
		}
		q.places[p] = c
	}
}

// Places returns the connectors that have executions queued, in no order.
func (l *Ledger) Places() []Place {
	l.queue.mu.Lock()
	defer l.queue.mu.Unlock()
	places := make([]Place, 0, len(l.queue.places))
	for p, c := range l.queue.places {
		if c.waiting > 0 {
			places = append(places, Place{Space: p.space, ConnectorID: p.connector, Type: p.typeID, Queued: c.waiting})
		}
	}
	return places
}

// Changed is signalled (capacity 1) when executions were queued, also again.
func (l *Ledger) Changed() <-chan struct{} { return l.changed }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Stats are figures of this process since it started, and of now.
type Stats struct {
	Queued  int    // executions that wait or run
	Dropped uint64 // records that the log lost
	// Rate is how many durable executions ended per second lately, for Retry-After.
	Rate float64
}

// Stats returns them.
func (l *Ledger) Stats() Stats {
	l.queue.mu.Lock()
	active := l.queue.active
	l.queue.mu.Unlock()
	dropped := uint64(l.log.lost()) //nolint:gosec // a count
	return Stats{Queued: active, Dropped: dropped, Rate: l.pace.rate(l.options.now())}
}

// DrainTime is how long, at the pace of late, until n of those queued have ended:
// between 1 s and 30 s.
func (l *Ledger) DrainTime(n int) time.Duration {
	rate := l.pace.rate(l.options.now())
	if rate == 0 {
		return 30 * time.Second
	}
	return time.Duration(math.Ceil(min(max(float64(n)/rate, 1), 30))) * time.Second
}

// paceSeconds is how long ago "of late" begins.
const paceSeconds = 10

// pace counts what ended in each of the last seconds.
type pace struct {
	mu    sync.Mutex
	ended [paceSeconds]int
	last  int64 // the second that was counted last
}

func (p *pace) add(now time.Time, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(now)
	p.ended[now.Unix()%paceSeconds] += n
}

func (p *pace) rate(now time.Time) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(now)
	sum := 0
	for _, n := range p.ended {
		sum += n
	}
	return float64(sum) / paceSeconds
}

// forget empties the seconds that passed since the last one that was counted.
func (p *pace) forget(now time.Time) {
	second := now.Unix()
	for i := max(p.last+1, second-paceSeconds+1); i <= second; i++ {
		p.ended[i%paceSeconds] = 0
	}
	p.last = max(p.last, second)
}
