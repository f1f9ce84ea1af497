package ledger

import (
	"context"
	"errors"
	"time"

	"patchbay.dev/api/sqlite"
)

// What one transaction takes at most, so that nobody waits long for its end: weight is
// rows, bytes are of their params.
const (
	groupWeight = 1024
	groupBytes  = 8 << 20
)

// flushInterval is how long a record of the log waits for others.
const flushInterval = 250 * time.Millisecond

var errClosed = errors.New("the ledger is closed")

// op is something to write. Where a group of them fails each is applied again on its
// own: apply must not leave anything behind but in the group.
type op struct {
	apply  func(*group) error
	weight int
	bytes  int
	flush  int // so many records of the log must be written before it is done
	done   chan error
}

// do has apply run in a transaction and returns once that is on disk. ctx ends only
// the wait for the writing goroutine to take it.
func (l *Ledger) do(ctx context.Context, o *op) error {
	o.done = make(chan error, 1)
	select { // at random if both can be: first that it is closed
	case <-l.closing:
		return errClosed
	default:
	}
	select {
	case l.ops <- o:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-l.closing:
		return errClosed
	}
	select {
	case err := <-o.done:
		return err
	case <-l.stopped:
	}
	select { // it may have been among the last
	case err := <-o.done:
		return err
	default:
		return errClosed
	}
}

// run is the writing goroutine. It ends when everything is written after closing.
func (l *Ledger) run() {
	defer close(l.stopped)
	w := &scribe{Ledger: l}
	for !w.ended {
		w.wait()
		w.gather()
		w.write()
	}
}

// scribe is what the writing goroutine has in hand.
type scribe struct {
	*Ledger
	ops     []*op
	flushes []*op // done once so many records of the log are written
	tick    <-chan time.Time
	due     bool // the log is to be written without waiting for anything
	ended   bool
}

// wait returns when there is something to write.
func (w *scribe) wait() {
	for len(w.ops) == 0 && !w.due {
		select {
		case o := <-w.Ledger.ops:
			w.ops = append(w.ops, o)
		case <-w.log.begun:
			if w.tick == nil {
				w.tick = time.After(flushInterval)
			}
		case <-w.log.many:
			w.due = true
		case <-w.tick:
			w.tick, w.due = nil, true
		case <-w.closing:
			w.due, w.ended = true, true
		}
	}
}

// gather takes what else waits, as much as one transaction may hold.
func (w *scribe) gather() {
	weight, bytes := 0, 0
	for _, o := range w.ops {
		weight, bytes = weight+o.weight, bytes+o.bytes
	}
	for weight < groupWeight && bytes < groupBytes {
		select {
		case o := <-w.Ledger.ops:
			w.ops = append(w.ops, o)
			weight, bytes = weight+o.weight, bytes+o.bytes
		default:
			w.split()
			return
		}
	}
	w.split()
}

// split puts apart those that only want the log to be written.
func (w *scribe) split() {
	others := w.ops[:0]
	for _, o := range w.ops {
		if o.apply == nil {
			w.flushes = append(w.flushes, o)
			w.due = true
			continue
		}
		others = append(others, o)
	}
	w.ops = others
}

// write writes what was gathered, and of the log what fits.
func (w *scribe) write() {
	records := w.log.next()
	err := w.group(w.ops, records)
	w.ops = w.ops[:0]
	switch {
	case err == nil:
		w.log.wrote(len(records))
	case passes(err):
		// They are kept and tried again in a while.
		w.due, w.tick = false, time.After(time.Second)
	default:
		w.log.drop(len(records))
		err = nil
	}
	if w.log.none() {
		w.due = false
	}
	waiting := w.flushes[:0]
	for _, o := range w.flushes {
		if err == nil && w.log.settled() < o.flush {
			waiting = append(waiting, o)
			w.due = true
			continue
		}
		o.done <- err
	}
	w.flushes = waiting
	if w.ended && (w.due || len(w.Ledger.ops) > 0) {
		w.ended = false // wait comes back to it
	}
}

// passes reports whether an error may pass by itself.
func passes(err error) bool {
	return errors.Is(err, ErrDiskFull) || errors.Is(err, sqlite.ErrLocked)
}
