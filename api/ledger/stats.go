package ledger

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Stats are figures of this process since it started, and of now.
type Stats struct {
	Queued  int    // executions that wait or run
	Waiting int    // of them
	Dropped uint64 // records that the log lost
	// Rate is how many durable executions ended per second lately, for Retry-After;
	// MinuteRate in the last minute.
	Rate, MinuteRate float64
	Buried           uint64 // executions that became dead letters
	Commits          uint64 // transactions
	Rows             uint64 // executions written in them, each as often as it changed
}

// Stats returns them. It reads memory only.
func (l *Ledger) Stats() Stats {
	l.queue.mu.Lock()
	active, waits := l.queue.active, l.queue.waits
	l.queue.mu.Unlock()
	now := l.options.now()
	return Stats{
		Queued: active, Waiting: waits, Dropped: uint64(l.log.lost()), //nolint:gosec // a count
		Rate: l.pace.rate(now, lately), MinuteRate: l.pace.rate(now, paceSeconds),
		Buried: l.totals.buried.Load(), Commits: l.totals.commits.Load(), Rows: l.totals.rows.Load(),
	}
}

// totals are counted by the writing goroutine alone.
type totals struct{ commits, rows, buried atomic.Uint64 }

// count counts a transaction that was committed.
func (t *totals) count(ops []*op, records []Record, buried int) {
	rows := len(records)
	for _, o := range ops {
		rows += o.weight
	}
	t.commits.Add(1)
	t.rows.Add(uint64(rows))
	t.buried.Add(uint64(buried)) //nolint:gosec // a count
}

const selectFirst = `SELECT due_at FROM execution
	WHERE space = ? AND connector_id = ? AND type = ? AND state = 'queued' ORDER BY due_at LIMIT 1`

// Oldest returns for how long the execution that was due first has waited; 0 if none
// that waits is due. It costs a look into an index for each connector that has
// executions queued, some 10 µs, however many they are.
func (l *Ledger) Oldest() (time.Duration, error) {
	now := l.options.now()
	oldest := now
	for _, p := range l.Places() {
		var due int64
		// A context that can end would cost a goroutine per statement.
		err := l.read.QueryRowContext(context.Background(), selectFirst, p.Space, p.ConnectorID, p.Type).Scan(&due)
		if err != nil && !noRows(err) { // it was claimed in the meantime
			return 0, fmt.Errorf("select what waits for longest: %w", explain(err))
		}
		if at := moment(due); err == nil && at.Before(oldest) {
			oldest = at
		}
	}
	return now.Sub(oldest), nil
}

// MaxCounted is the most that [Ledger.DeadLetters] counts to: that takes 4 ms.
const MaxCounted = 100_000

const countSome = `SELECT count(*) FROM (SELECT 1 FROM execution INDEXED BY execution_dead WHERE state = 'dead' LIMIT ?)`

// DeadLetters returns how many dead letters there are, [MaxCounted] for that many or
// more.
func (l *Ledger) DeadLetters() (n int, err error) {
	if err := l.read.GetContext(context.Background(), &n, countSome, MaxCounted); err != nil {
		return 0, fmt.Errorf("count dead letters: %w", explain(err))
	}
	return n, nil
}
