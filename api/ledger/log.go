package ledger

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Record is one execution without a key that was answered at once, for the log.
type Record struct {
	ID, Space, ConnectorID, ConnectorName, Type string
	Attempt                                     Attempt
	Bytes                                       int
	TraceID                                     string
	Given                                       bool // the caller chose the id, and may have used it before
}

// Bounds of the log, in records.
const (
	maxRecords   = 16384 // that wait
	manyRecords  = 4096  // are written before their time
	groupRecords = 512   // in one transaction, so that others need not wait long for it
)

// Log has a record written in a while, in a group with others; it never waits. With a
// given id that was logged before for the same connector it is the next attempt of that
// execution. When too many wait, or the id is another's, it is dropped and counted.
func (l *Ledger) Log(r Record) { l.log.add(&r) }

// Flush returns when everything that was logged before is written or, with an error,
// could not be written so far.
func (l *Ledger) Flush(ctx context.Context) error {
	return l.do(ctx, &op{flush: l.log.logged()})
}

// buffer is the records that wait. Callers fill one slice while the other is written.
type buffer struct {
	begun chan struct{} // signalled with the first that waits
	many  chan struct{}

	mu      sync.Mutex
	waiting []Record
	added   int
	dropped int
	done    int // of those added: written, or given up and counted in dropped

	// The writing goroutine's own.
	writing []Record // from first on
	first   int
}

func newBuffer() buffer {
	return buffer{begun: make(chan struct{}, 1), many: make(chan struct{}, 1)}
}

func (b *buffer) add(r *Record) {
	b.mu.Lock()
	n := len(b.waiting)
	if n >= maxRecords {
		b.dropped++
		b.mu.Unlock()
		return
	}
	b.waiting = append(b.waiting, *r)
	b.added++
	b.mu.Unlock()
	switch n {
	case 0:
		signal(b.begun)
	case manyRecords:
		signal(b.many)
	}
}

// next returns the records to write now, the same ones until wrote or drop.
func (b *buffer) next() []Record {
	if b.first == len(b.writing) {
		clear(b.writing) // their texts are garbage now
		b.mu.Lock()
		b.writing, b.waiting, b.first = b.waiting, b.writing[:0], 0
		b.mu.Unlock()
	}
	return b.writing[b.first:min(b.first+groupRecords, len(b.writing))]
}

func (b *buffer) wrote(n int) { b.settle(n, 0) }

func (b *buffer) drop(n int) { b.settle(n, n) }

func (b *buffer) settle(n, lost int) {
	b.first += n
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done += n
	b.dropped += lost
}

// lose counts records that were not written, of those that wrote settles.
func (b *buffer) lose(n int) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropped += n
}

// none reports whether no record waits.
func (b *buffer) none() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.first == len(b.writing) && len(b.waiting) == 0
}

func (b *buffer) logged() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.added
}

func (b *buffer) settled() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.done
}

func (b *buffer) lost() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}

const (
	intoRecord = `
INSERT INTO execution (seq, id, space, connector_id, connector_name, type, durable, state, created_at, queued_at, bytes, trace_id,
	attempts, max_attempts, attempt, started_at, ended_at, queue_us, dispatch_us, run_us, outcome, message, service_message,
	retry, source, worker)
VALUES `
	recordValues = `(?, ?, ?, ?, ?, ?, 0, 'done', ?, ?, ?, ?, 1, 1, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	insertRecord = intoRecord + recordValues + onConflict
	onConflict   = `
ON CONFLICT DO NOTHING`
)

// recordRows is how many rows one statement inserts: half of what a row takes is
// spent on the statement.
const recordRows = 32

var insertRecords = intoRecord + recordValues + strings.Repeat(", "+recordValues, recordRows-1) + onConflict

// records inserts what was logged.
func (g *group) records(records []Record) error {
	statements := &g.ledger.directs
	for len(records) > 0 {
		if records[0].Given {
			known, err := g.recordAgain(&records[0])
			if err != nil {
				return fmt.Errorf("record an attempt: %w", explain(err))
			}
			if known {
				records = records[1:]
				continue
			}
		}
		d, n := &statements.record, 1
		if len(records) >= recordRows && !slices.ContainsFunc(records[:recordRows], given) {
			d, n = &statements.records, recordRows
		}
		args := d.args
		for i := range records[:n] {
			args = g.record(args, &records[i])
		}
		if _, err := d.run(); err != nil {
			return fmt.Errorf("insert a record: %w", explain(err))
		}
		records = records[n:]
	}
	return nil
}

// record sets the first of args to what a row says of r and returns the others.
func (g *group) record(args []driver.NamedValue, r *Record) []driver.NamedValue {
	a := &r.Attempt
	failure := a.failure()
	created := a.StartedAt.Add(-a.Queue).UnixMicro()
	g.ledger.seq++
	values := [...]driver.Value{
		g.ledger.seq, r.ID, r.Space, r.ConnectorID, text(r.ConnectorName), r.Type, created, created,
		int64(r.Bytes), text(r.TraceID), a.StartedAt.UnixMicro(), micros(a.EndedAt), a.Queue.Microseconds(),
		a.Dispatch.Microseconds(), a.Run.Microseconds(), string(a.Outcome), text(failure.Message), text(failure.ServiceMessage),
		adviceText(failure.Retry), string(failure.Source), text(a.Worker),
	}
	for i, v := range values {
		args[i].Value = v
	}
	return args[len(values):]
}
