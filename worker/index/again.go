package index

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"patchbay.dev/shared/wire"
)

// A document that the cluster had no room for was not written, and is sent again.
const (
	maxTries = 3
	backoff  = 100 * time.Millisecond // half to one and a half of it, then twice that
	maxPause = 2 * time.Second        // a slot is not held for longer
	// minLeft is the time that must be left after the pause. With less, a clean
	// rejection would likely become an unknown outcome.
	minLeft = time.Second
)

// persist sends an execution, and what the cluster rejects of it again, within
// the time of its caller.
func (e *Executor) persist(ctx context.Context, x *execution, refresh bool) result {
	b := e.batches
	if refresh {
		b = e.refresh
	}
	r := b.do(ctx, x)
	for try := 1; try < maxTries && len(r.rejected) > 0; try++ {
		pause := pauseFor(try, r.pause)
		if deadline, ok := ctx.Deadline(); pause > maxPause || ok && time.Until(deadline) < pause+minLeft || e.wait(ctx, pause) != nil {
			break
		}
		again := b.do(ctx, x.only(r.rejected))
		if !r.unsent && !again.unsent {
			e.counters.resent.Add(int64(len(r.rejected)))
		}
		var end bool
		if r, end = e.add(r, again, len(x.documents)); end {
			break
		}
	}
	return r
}

// only returns the execution with some of its documents.
func (x *execution) only(which []int) *execution {
	some := *x
	some.documents, some.ids = nil, nil
	for _, i := range which {
		some.documents = append(some.documents, x.documents[i])
		if x.ids != nil {
			some.ids = append(some.ids, x.ids[i])
		}
	}
	return &some
}

// add returns what r, the result of n documents, becomes with what came of sending
// the rejected ones again, and whether that is the end of it.
func (e *Executor) add(r, again result, n int) (result, bool) {
	if failure, ok := errors.AsType[*wire.Failure](again.err); ok && failure.Unknown {
		return again, true
	}
	if again.data == nil && again.wrote {
		return again, true // nobody can tell what is left to send
	}
	if r.unsent {
		return again, len(again.rejected) == 0
	}
	if again.data == nil {
		// Nothing more was written, so that the rejection still stands.
		if len(r.rejected) == n && len(again.rejected) == n {
			r.err = withRetryOf(r.err, again.err)
		}
		r.pause = again.pause
		return r, len(again.rejected) == 0
	}
	if r.data == nil { // it was rejected as a whole, so that this is the answer to all
		return again, false
	}
	s, err := merge(r.data, r.rejected, again.data)
	if err != nil { // items were left out, since they are too many to be told
		return result{err: unknown(err.Error())}, true
	}
	return e.ofShare(s.whole(), n), false
}

// withRetryOf returns a failure with the newer advice of another.
func withRetryOf(err, newer error) error {
	old, ok := errors.AsType[*wire.Failure](err)
	other, alike := errors.AsType[*wire.Failure](newer)
	if !ok || !alike {
		return err
	}
	failure := *old
	failure.Retry = other.Retry
	return &failure
}

// pauseFor returns how long to wait after a number of tries, asked to wait so long
// at least.
func pauseFor(tries int, asked time.Duration) time.Duration {
	d := backoff << (tries - 1)
	return max(d/2+rand.N(d), asked)
}

// wait returns nil after d, or the error of ctx.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
