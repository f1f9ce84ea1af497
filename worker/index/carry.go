package index

import (
	"context"
	"math"
	"net/http"
)

// bulk is a request under way.
type bulk struct {
	flight  *flight
	members int // whose callers wait
	alone   bool
	cancel  context.CancelCauseFunc
}

// carry sends a batch, as a part of a flight, and gives everyone in it his result.
func (b *batcher) carry(f *flight, batch []*member) {
	defer func() {
		if v := recover(); v != nil {
			for _, m := range batch {
				b.finish(m, result{}, v)
			}
		}
	}()
	// It ends when the last caller goes away, so that it needs no deadline.
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	batch = b.board(&bulk{flight: f, cancel: cancel}, batch)
	switch len(batch) {
	case 0:
	case 1:
		m := batch[0]
		r := b.e.alone(m.ctx, m.execution, b.refresh)
		f.hear(r.sign)
		b.finish(m, r, nil)
	default:
		b.send(ctx, f, batch)
	}
}

// board returns those of a batch who still wait, nobody in a pause. From now on they
// are in it: who leaves later does not know what became of his documents.
func (b *batcher) board(carrier *bulk, batch []*member) []*member {
	b.mu.Lock()
	defer b.mu.Unlock()
	var aboard []*member
	for _, m := range batch {
		switch {
		case m.gone || m.ctx.Err() != nil:
		case b.e.isPaused():
			m.end(b.e.turnedAway(m.execution), nil)
		default:
			m.bulk = carrier
			aboard = append(aboard, m)
		}
	}
	carrier.members, carrier.alone = len(aboard), len(aboard) == 1
	return aboard
}

// send sends a bulk of several.
func (b *batcher) send(ctx context.Context, f *flight, batch []*member) {
	e := b.e
	var size int64
	for _, m := range batch {
		size += m.size
	}
	body := make([]byte, 0, size)
	counts, documents := make([]int, len(batch)), 0
	for i, m := range batch {
		body = appendLines(body, m.action, m.documents, m.ids, m.timeField, m.now)
		counts[i] = len(m.documents)
		documents += counts[i]
	}
	e.counters.count(len(batch), documents, len(body))
	limit := e.limitFor(len(batch), documents, len(body))
	r := e.send(ctx, "", body, b.refresh, limit)
	if r.err == nil && oneMayBeToBlame(r.response.StatusCode, r.response.Header) {
		e.counters.splits.Add(1)
		b.disembark(batch)
		b.carry(f, batch[:len(batch)/2])
		b.carry(f, batch[len(batch)/2:])
		return
	}
	results, rejected := e.deal(ctx, r, limit, counts), 0
	for _, result := range results {
		rejected += len(result.rejected)
	}
	f.hear(r.sign(ctx, rejected, documents))
	for i, result := range results {
		b.finish(batch[i], result, nil)
	}
}

// What a bulk's answer may hold beyond what those of its executions alone may, so
// that one whose answer is too large takes nothing from others: so much of each
// document, and of the body, whose values Elasticsearch repeats in its reasons.
const (
	perDocument = 2 << 10
	repeats     = 3
)

// limitFor returns how many bytes are read of the answer to a bulk.
func (e *Executor) limitFor(executions, documents, body int) int64 {
	const most = math.MaxInt64 / 2
	if e.maxResponse > most/int64(executions) {
		return most
	}
	return e.maxResponse*int64(executions) + int64(documents)*perDocument + int64(body)*repeats
}

// oneMayBeToBlame reports whether nothing of a bulk was written for a reason that
// may lie in one of its executions, or in their being so many.
func oneMayBeToBlame(status int, header http.Header) bool {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return true
	case http.StatusForbidden: // of a firewall that dislikes a document
		return !own(header)
	default:
		return false
	}
}

// disembark says that nothing of a batch was written.
func (b *batcher) disembark(batch []*member) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range batch {
		m.bulk = nil
	}
}

// deal returns what the answer to a bulk means for each of its executions; counts
// are their numbers of documents.
func (e *Executor) deal(ctx context.Context, r reply, limit int64, counts []int) []result {
	results := make([]result, len(counts))
	each := func(of func(i int) result) []result {
		for i := range results {
			results[i] = of(i)
		}
		return results
	}
	switch {
	case r.err != nil:
		return each(func(int) result { return result{err: e.noAnswer(ctx, r.err, r.sent)} })
	case r.response.IsError():
		return each(func(i int) result { return e.told(r, counts[i]) })
	case int64(len(r.answer)) > limit:
		return each(func(int) result { return e.cutShort(r) })
	}
	documents := 0
	for _, n := range counts {
		documents += n
	}
	s, err := scan(r.answer, documents)
	if err != nil {
		return each(func(int) result {
			return result{err: unknown("the cluster's answer is not that of a _bulk request: " + err.Error())}
		})
	}
	all, err := s.shares(counts)
	if err != nil {
		return each(func(int) result { return result{err: unknown(err.Error())} })
	}
	return each(func(i int) result { return e.ofShare(all[i], counts[i]) })
}

// cutShort is the result of an execution in a bulk of which the answer is larger
// than that of all its executions may be. That documents failed says not whose.
func (e *Executor) cutShort(r reply) result {
	data, err := e.tooLarge(r.response, r.answer)
	if err != nil {
		err = unknown(e.overLimit())
	}
	return result{data: data, err: err}
}
