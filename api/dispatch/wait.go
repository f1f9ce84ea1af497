package dispatch

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// How long a call waits before it asks busy workers again: twice as long each
	// time.
	firstWait = 2 * time.Millisecond
	lastWait  = 250 * time.Millisecond
	// What the waiting calls of one connector cost together: each waits longer the
	// more of them there are, so that a connector that hangs costs a thousand questions
	// a second, or a hundred MiB, however many wait for it. If hardly any of its calls
	// is answered, a quarter of that.
	waitPerCall = time.Millisecond
	mostPerCall = 4 * time.Millisecond
	waitPerMiB  = 8 * time.Millisecond
	// longestWait bounds that.
	longestWait = 2 * time.Second
)

// waiting knows the calls that found every worker busy, by connector.
type waiting struct {
	mu         sync.Mutex
	connectors map[string]crowd
}

// crowd is what waits for the same.
type crowd struct {
	calls, bytes int
	perCall      time.Duration // from waitPerCall to mostPerCall
}

// join counts a call that waits, or, with -1, no longer waits.
func (w *waiting) join(connector string, n, size int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.connectors == nil {
		w.connectors = make(map[string]crowd)
	}
	c := w.connectors[connector]
	c = crowd{c.calls + n, c.bytes + n*size, max(c.perCall, waitPerCall)}
	if c.calls == 0 {
		delete(w.connectors, connector)
		return
	}
	w.connectors[connector] = c
}

// least returns how long each call for a connector should wait at the least, now
// that one of them found every worker busy.
func (w *waiting) least(connector string) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.connectors[connector]
	least := min(time.Duration(c.calls)*c.perCall+time.Duration(c.bytes)*waitPerMiB>>20, longestWait)
	if c.calls > 0 {
		c.perCall = min(c.perCall+c.perCall/16, mostPerCall)
		w.connectors[connector] = c
	}
	return least
}

// answered has those who wait ask more often, since a call for their connector got
// an answer: slots become free.
func (w *waiting) answered(connector string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c, ok := w.connectors[connector]; ok {
		c.perCall = max(c.perCall/2, waitPerCall)
		w.connectors[connector] = c
	}
}

// stuck reports whether calls for a connector wait of which hardly any is answered: a
// new one then waits its turn before it asks at all. Where some are answered a new one
// asks at once, since the callers of the oldest are about to leave.
func (w *waiting) stuck(connector string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.connectors[connector].perCall >= mostPerCall
}

// turn is one call's way through the waits.
type turn struct {
	*waiting
	connector string
	size      int // bytes of a question
	wait      time.Duration
}

// next waits until it is time to ask again. The error is [ErrBusy] if there will be
// none before the deadline, or else the context's cause.
func (t *turn) next(ctx context.Context, deadline time.Time) error {
	if t.wait == 0 {
		t.join(t.connector, 1, t.size)
		t.wait = firstWait
	}
	// Half to all of it: members of the queue group are picked at random, and
	// callers who were refused together must not come back together.
	pause := max(t.wait, t.least(t.connector))
	pause = pause/2 + rand.N(pause/2)
	left := time.Until(deadline) - leastTry
	if left < t.wait/2 {
		return ErrBusy
	}
	if pause > left { // to ask some time before the end is worth more than the whole pause
		pause = left / 2
	}
	t.wait = min(2*t.wait, lastWait)
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(pause):
		return nil
	}
}

// end is called when the call asks no more.
func (t *turn) end() {
	if t.wait > 0 {
		t.join(t.connector, -1, t.size)
	}
}
