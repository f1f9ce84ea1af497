package index

import (
	"net/http"
	"time"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/outbound"
)

// What the cluster asks for is kept by all: the layer hears it from here and from
// other workers, and says so to pause.

// heed tells the layer what the cluster asks for with an answer, if anything.
func (e *Executor) heed(status int, header http.Header) {
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		e.layer.Asked(connector.Index.ID, e.host, header)
	}
}

// pause turns everyone away who waits, since the cluster wants no requests until a
// time. What is under way goes on.
func (e *Executor) pause(until time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.until = until
	for _, b := range []*batcher{e.batches, e.refresh} {
		b.dismiss(func(m *member) result { return e.turnedAway(m.execution) })
	}
}

// isPaused reports whether the cluster wants no requests now. mu is held.
func (e *Executor) isPaused() bool {
	if e.until.IsZero() {
		return false
	}
	if time.Now().Before(e.until) {
		return true
	}
	e.until = time.Time{}
	return false
}

// turnedAway is the result of an execution that is not sent since the cluster is
// paused: its documents may be sent after that, as if they had been rejected. mu is
// held.
func (e *Executor) turnedAway(x *execution) result {
	e.counters.turnedAway.Add(1)
	failure := refused((&outbound.PausedError{Host: e.host, Until: e.until}).Error())
	failure.Retry = wire.RetryAt(e.until)
	return result{err: failure, rejected: upTo(len(x.documents)), pause: time.Until(e.until), unsent: true}
}

// upTo returns the numbers from 0 to n-1.
func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}
