package index

import (
	"context"
	"errors"
	"slices"
	"sync"

	"patchbay.dev/worker/outbound"
	"patchbay.dev/worker/pool"
)

// Batching says how executions share _bulk requests. The zero value gives each
// one its own.
type Batching struct {
	On        bool
	InFlight  int   // bulks at once, with refresh and without each
	Bytes     int64 // of the body of a bulk of several executions, at most
	Documents int   // in such a bulk, at most
	Queue     int64 // bytes that may wait
}

// batcher sends executions with the same refresh flag. What comes while as many
// bulks are in flight as may be waits, and leaves together when one of them ends.
// Nobody waits for company.
type batcher struct {
	e       *Executor
	refresh bool
	sending sync.WaitGroup // bulks that no caller's goroutine sends

	mu       *sync.Mutex // the executor's
	queue    []*member
	bytes    int64 // in queue
	inFlight int
	airborne int                // flights that have not landed, also those that gave their place back
	suspects map[string]*flight // indices that may hold others up, with the bulk on trial or nil
	closed   bool
}

func newBatcher(e *Executor, refresh bool) *batcher {
	return &batcher{e: e, refresh: refresh, mu: &e.mu, suspects: make(map[string]*flight)}
}

// member is an execution that had to wait.
type member struct {
	*execution
	ctx    context.Context //nolint:containedctx // of its caller, who waits elsewhere
	action string          // before each of its documents
	size   int64
	done   chan struct{} // closed when it is finished

	// Under the batcher's mu.
	bulk     *bulk // that carries it; nil as long as nothing of it is sent
	gone     bool  // its caller is
	finished bool
	result   result
	panicked any
}

// do sends an execution, at once if it may, and returns what came of it.
func (b *batcher) do(ctx context.Context, x *execution) result {
	f, m, now := b.enter(ctx, x)
	if f != nil {
		defer f.land()
		r := b.e.alone(ctx, x, b.refresh)
		f.sign = r.sign
		return r
	}
	if m == nil {
		return now
	}
	select {
	case <-m.done:
	case <-ctx.Done():
		b.abandon(m)
	}
	if m.panicked != nil {
		panic(m.panicked) // where the pool tells of it
	}
	return m.result
}

// enter returns a place in flight, or the member that waits for its turn, or the
// result of an execution that may not even wait.
func (b *batcher) enter(ctx context.Context, x *execution) (f *flight, m *member, now result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return nil, nil, result{err: stopping()}
	case b.e.isPaused():
		return nil, nil, b.e.turnedAway(x)
	case b.mayLeave(x.target):
		return b.takeOff(x.target, nil), nil, result{}
	}
	m = &member{execution: x, ctx: ctx, action: actionFor(x.target), done: make(chan struct{})}
	m.size = int64(linesSize(x.documents, x.ids, len(m.action), len(x.timeField)))
	// One may always wait: larger than all that may, it would never be sent.
	if len(b.queue) > 0 && b.bytes+m.size > b.e.batching.Queue {
		b.e.counters.refused.Add(1)
		return nil, nil, result{err: pool.ErrBusy}
	}
	b.queue = append(b.queue, m)
	b.bytes += m.size
	b.e.counters.waiting.Add(1)
	return nil, m, result{}
}

// dispatch sends what waits and may leave. mu is held.
func (b *batcher) dispatch() {
	for batch := b.next(); len(batch) > 0; batch = b.next() {
		f := b.takeOff(batch[0].target, batch)
		b.sending.Go(func() {
			defer f.land()
			b.carry(f, batch)
		})
	}
}

// next takes from the queue what leaves together, nil if nothing may. mu is held.
func (b *batcher) next() []*member {
	first := slices.IndexFunc(b.queue, func(m *member) bool { return b.mayLeave(m.target) })
	if first < 0 {
		return nil
	}
	head := b.queue[first]
	batch, left := []*member{head}, slices.Clone(b.queue[:first])
	documents, bytes := len(head.documents), head.size
	for i, m := range b.queue[first+1:] {
		if !b.mayJoin(head.target, m.target) {
			left = append(left, m)
			continue
		}
		documents += len(m.documents)
		bytes += m.size
		// Without documents the cluster answers for the request, not for an item.
		single := len(m.documents) == 0 || len(head.documents) == 0
		if single || documents > b.e.batching.Documents || bytes > b.e.batching.Bytes {
			left = append(left, b.queue[first+1+i:]...)
			break
		}
		batch = append(batch, m)
	}
	for _, m := range batch {
		b.bytes -= m.size
	}
	b.queue = left
	b.e.counters.waiting.Add(-int64(len(batch)))
	return batch
}

// finish gives a member its result, unless its caller went away.
func (b *batcher) finish(m *member, r result, panicked any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m.end(r, panicked)
}

// end is finish while mu is held.
func (m *member) end(r result, panicked any) {
	if m.gone || m.finished {
		return
	}
	m.finished, m.result, m.panicked = true, r, panicked
	close(m.done)
}

// abandon sets the result of a member whose caller goes away.
func (b *batcher) abandon(m *member) {
	b.mu.Lock()
	if m.bulk != nil && m.bulk.alone && !m.finished {
		b.mu.Unlock()
		<-m.done // soon: it was sent with the caller's own context
		return
	}
	defer b.mu.Unlock()
	if m.finished {
		return
	}
	m.gone = true
	m.result = result{err: b.e.noAnswer(m.ctx, m.ctx.Err(), m.bulk != nil)}
	if m.bulk == nil {
		b.remove(m)
		return
	}
	if errors.Is(m.ctx.Err(), context.DeadlineExceeded) { // at once: the bulk may hang for much longer
		b.e.limit.Learn(outbound.TooMuch, b.inFlight, m.bulk.flight.cuts)
	}
	if m.bulk.members--; m.bulk.members == 0 {
		m.bulk.cancel(context.Cause(m.ctx))
	}
}

// remove takes m out of the queue, if it is there. mu is held.
func (b *batcher) remove(m *member) {
	if i := slices.Index(b.queue, m); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
		b.bytes -= m.size
		b.e.counters.waiting.Add(-1)
	}
}

// close ends what waits and returns when what is in flight has ended.
func (b *batcher) close() {
	b.mu.Lock()
	b.closed = true
	b.dismiss(func(*member) result { return result{err: stopping()} })
	b.mu.Unlock()
	b.sending.Wait()
}

// dismiss ends what waits. mu is held.
func (b *batcher) dismiss(resultOf func(*member) result) {
	for _, m := range b.queue {
		m.end(resultOf(m), nil)
	}
	b.e.counters.waiting.Add(-int64(len(b.queue)))
	b.queue, b.bytes = nil, 0
}
