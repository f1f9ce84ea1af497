package dispatch

import (
	"crypto/rand"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
)

// call is one published request that waits for its answer.
type call struct {
	token  string // the last part of its reply subject: random, so that nobody can guess it
	number uint64 // they are counted
	// answers has room for a heartbeat and the answer after it. A nil message
	// says that the connection broke.
	answers chan *nats.Msg
}

func (d *Dispatcher) open() *call {
	c := &call{token: rand.Text(), answers: make(chan *nats.Msg, 2)}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	c.number = d.last
	d.calls[c.token] = c
	return c
}

func (d *Dispatcher) close(c *call) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.calls, c.token)
}

// receive hands an answer to its call. All that send on answers do it under the
// lock, and a heartbeat only where nothing waits, so that an answer always finds
// room.
func (d *Dispatcher) receive(msg *nats.Msg) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.calls[msg.Subject[len(d.inbox):]]; c != nil && !(running(msg) && len(c.answers) > 0) {
		c.send(msg)
	}
}

func (c *call) send(msg *nats.Msg) {
	select {
	case c.answers <- msg:
	default: // a second answer
	}
}

// watch gives up, after the grace, on the calls that were in flight when the
// connection broke.
func (d *Dispatcher) watch() {
	for status := range d.status {
		d.lost.Store(true)
		d.mu.Lock()
		last := d.last
		d.mu.Unlock()
		if status == nats.CLOSED {
			d.fail(last)
			continue
		}
		time.AfterFunc(lostGrace, func() { d.fail(last) })
	}
}

// isConnected asks the connection only if it was lost: to ask takes the lock that is
// held while it writes. One that was lost this moment refuses what is published.
func (d *Dispatcher) isConnected() bool {
	if !d.lost.Load() {
		return true
	}
	d.lost.Store(false) // first: it may be lost again meanwhile
	if d.nc.IsConnected() {
		return true
	}
	d.lost.Store(true)
	return false
}

func (d *Dispatcher) fail(last uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.calls {
		if c.number <= last {
			c.send(nil)
		}
	}
}

// running reports whether msg says no more than that the job still runs. A signal
// that is not known here, of a newer worker, is no answer either.
func running(msg *nats.Msg) bool {
	s := signal(msg)
	return s != "" && s != wire.Busy && s != wire.Probe
}

func signal(msg *nats.Msg) string {
	if values := msg.Header[wire.SignalHeader]; len(values) > 0 {
		return values[0]
	}
	return ""
}
