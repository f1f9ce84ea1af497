package index

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Stats tells what an [Executor] has sent since its start.
type Stats struct {
	Bulks      int64 // _bulk requests
	Executions int64 // in them
	Documents  int64 // in them
	Bytes      int64 // of their bodies
	Resent     int64 // documents sent again after a rejection
	Splits     int64 // bulks sent again in halves
	Refused    int64 // executions refused since too much was waiting
	Waiting    int64 // executions that wait now
	TurnedAway int64 // times that an execution was not sent since the cluster asked for a pause
	// Sizes are the bulks by how many executions they carried: up to 1, 2, 4, … 512,
	// and more, each apart.
	Sizes [sizes + 1]int64
}

const sizes = 10

type counters struct {
	bulks, executions, documents, bytes, resent, splits, refused, waiting, turnedAway atomic.Int64
	sizes                                                                             [sizes + 1]atomic.Int64
}

// Stats returns the counters as they are now.
func (e *Executor) Stats() Stats {
	c := &e.counters
	s := Stats{
		Bulks:      c.bulks.Load(),
		Executions: c.executions.Load(),
		Documents:  c.documents.Load(),
		Bytes:      c.bytes.Load(),
		Resent:     c.resent.Load(),
		Splits:     c.splits.Load(),
		Refused:    c.refused.Load(),
		Waiting:    c.waiting.Load(),
		TurnedAway: c.turnedAway.Load(),
	}
	for i := range c.sizes {
		s.Sizes[i] = c.sizes[i].Load()
	}
	return s
}

// Load is what an [Executor] asks of the cluster now, while it batches.
type Load struct {
	InFlight        int // bulks under way without refresh, also those that hang
	InFlightRefresh int // and with it
	Limit           int // how many of each may be, but for those that hang; 0 without batching
	Paused          bool
}

// Load returns it.
func (e *Executor) Load() Load {
	e.mu.Lock()
	defer e.mu.Unlock()
	load := Load{InFlight: e.batches.airborne, InFlightRefresh: e.refresh.airborne, Paused: time.Now().Before(e.until)}
	if e.batching.On {
		load.Limit = e.limit.Bears()
	}
	return load
}

// count counts a bulk.
func (c *counters) count(executions, documents, bytes int) {
	c.bulks.Add(1)
	c.executions.Add(int64(executions))
	c.documents.Add(int64(documents))
	c.bytes.Add(int64(bytes))
	c.sizes[min(bits.Len(uint(executions-1)), sizes)].Add(1)
}
