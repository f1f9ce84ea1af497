package index

import "sync/atomic"

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
}

type counters struct {
	bulks, executions, documents, bytes, resent, splits, refused, waiting, turnedAway atomic.Int64
}

// Stats returns the counters as they are now.
func (e *Executor) Stats() Stats {
	c := &e.counters
	return Stats{
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
}

// count counts a bulk.
func (c *counters) count(executions, documents, bytes int) {
	c.bulks.Add(1)
	c.executions.Add(int64(executions))
	c.documents.Add(int64(documents))
	c.bytes.Add(int64(bytes))
}
