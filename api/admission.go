package api

import (
	"cmp"
	"errors"
	"io"
	"math"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// admission bounds what this process has in flight: executions, and the bytes of
// their requests. It keeps the way to the workers short. Silence counts from the
// moment of sending, and in a deep queue a worker that is well would seem dead.
//
// A connector that has more in flight than is free gets no further one in, so that
// one that hangs leaves half of it to the others, and the next half of that.
type admission struct {
	maxCalls int
	maxBytes int64

	mu         sync.Mutex
	all        load
	connectors map[string]load // no more of them than calls
	drain      drain
	refused    uint64
}

// load is what is in flight.
type load struct {
	calls int
	bytes int64
}

func (l load) plus(calls int, bytes int64) load { return load{l.calls + calls, l.bytes + bytes} }

func newAdmission(c *Config) (*admission, error) {
	a := &admission{
		maxCalls:   cmp.Or(c.MaxInFlight, math.MaxInt),
		maxBytes:   cmp.Or(c.MaxInFlightBytes, math.MaxInt64),
		connectors: make(map[string]load),
	}
	if a.maxBytes < c.MaxBody {
		return nil, errors.New("PATCHBAY_MAX_IN_FLIGHT_BYTES: it is less than PATCHBAY_MAX_BODY, one request")
	}
	return a, nil
}

// ticket is an execution that was let in.
type ticket struct {
	*admission
	connector string
	bytes     int64
}

// ticketKey is where a request carries its ticket, until its body has come.
const ticketKey = "ticket"

// admitExecution lets an execution in before its body is read, or refuses it. What
// is only announced holds nobody up: beyond the first piece, bytes count as they
// come.
func (s *server) admitExecution(c echo.Context) (*ticket, error) {
	announced, size := c.Request().ContentLength, min(firstRead, s.config.MaxBody)
	if announced >= 0 {
		size = min(announced, size)
	}
	who, bulk := param(c, "id"), isBulk(c)
	if bulk { // for many connectors: it has the share of its caller
		_, who = callerOf(c).user()
		who = "bulk of " + who
	}
	t, err := s.admission.enter(who, size, time.Now())
	if err == nil && (announced < 0 || announced > firstRead || bulk) {
		c.Set(ticketKey, t)
	}
	return t, err
}

// arriving counts the bytes of a body that comes, and ends it when there is no room
// for more.
type arriving struct {
	io.Reader
	*ticket
	most, got int64
}

func (r *arriving) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.got += int64(n); r.got > r.bytes {
		if refusal := r.grow(min(r.got+firstRead, r.most), time.Now()); refusal != nil {
			return n, refusal
		}
	}
	return n, err
}

// grow makes the ticket one for more bytes.
func (t *ticket) grow(size int64, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.holdMore(size-t.bytes, now)
}

// hold makes the ticket one for more bytes than it is, or for less if more is below
// zero.
func (t *ticket) hold(more int64, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.holdMore(more, now)
}

func (t *ticket) holdMore(more int64, now time.Time) error {
	mine, free := t.connectors[t.connector], t.maxBytes-t.all.bytes
	if more > 0 && (free < more || mine.bytes-t.bytes > free) {
		return t.full(now)
	}
	t.add(0, more)
	t.bytes += more
	return nil
}

// reserve makes the ticket one for what a bulk request holds of a body of the
// announced length, below zero if it is not known.
func (t *ticket) reserve(announced int64) error {
	const most = 2*(chunkBytes+lineBuffer) + lineBuffer
	if announced < 0 || announced > most {
		announced = most
	}
	return t.grow(announced, time.Now())
}

func (a *admission) full(now time.Time) *problem {
	a.refused++
	return tooMany("There are as many executions in flight as there may be, in all or for this connector. Nothing was run.",
		a.drain.time(a.all.calls, now))
}

// stats returns what is in flight, and how often somebody was refused.
func (a *admission) stats() (now load, refused uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all, a.refused
}

// enter counts an execution until its ticket is done. The error is a *[problem].
func (a *admission) enter(connector string, size int64, now time.Time) (*ticket, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	mine, free := a.connectors[connector], load{a.maxCalls - a.all.calls, a.maxBytes - a.all.bytes}
	if free.calls <= 0 || free.bytes < size || mine.calls > free.calls || mine.bytes > free.bytes {
		return nil, a.full(now)
	}
	if a.all.calls == 0 {
		a.drain = drain{since: now}
	}
	a.all, a.connectors[connector] = a.all.plus(1, size), mine.plus(1, size)
	return &ticket{a, connector, size}, nil
}

// came corrects the size of the request.
func (t *ticket) came(size int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(0, size-t.bytes)
	t.bytes = size
}

// done counts the execution no longer.
func (t *ticket) done(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drain.count(now)
	t.add(-1, -t.bytes)
}

func (t *ticket) add(calls int, bytes int64) {
	t.all = t.all.plus(calls, bytes)
	mine := t.connectors[t.connector].plus(calls, bytes)
	if mine.calls == 0 {
		delete(t.connectors, t.connector)
		return
	}
	t.connectors[t.connector] = mine
}

const (
	drainWindow = time.Second      // over which is counted
	maxDrain    = 30 * time.Second // the most that anybody is told to wait
)

// drain measures how fast executions end while there are any.
type drain struct {
	since time.Time // the window's beginning
	ended int       // in it
	rate  float64   // a second, in the windows before, of which the last counts half
}

func (d *drain) count(now time.Time) {
	if d.ended == 0 && now.Sub(d.since) > 2*drainWindow {
		*d = drain{since: now} // nothing ended for long: what that says is of the past
	}
	d.ended++
	d.roll(now)
}

func (d *drain) roll(now time.Time) {
	length := now.Sub(d.since)
	if length < drainWindow {
		return
	}
	rate := float64(d.ended) / length.Seconds()
	if d.rate > 0 {
		rate = (rate + d.rate) / 2
	}
	*d = drain{since: now, rate: rate}
}

// time returns how long it takes until so many executions have ended. Nobody knows
// in the first window; it is answered as if it were short.
func (d *drain) time(executions int, now time.Time) time.Duration {
	first := d.rate == 0 && now.Sub(d.since) < drainWindow
	d.roll(now)
	switch {
	case first:
		return 0
	case d.rate == 0:
		return maxDrain
	default:
		return time.Duration(min(float64(executions)/d.rate, maxDrain.Seconds()) * float64(time.Second))
	}
}
