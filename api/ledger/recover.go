package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// interrupted is the failure of an attempt that ran when the process before ended.
const interrupted = "the execution was running when Patchbay stopped; whether it was carried out is not known"

const (
	requeueRunning = `UPDATE execution SET state = 'queued', due_at = ?1 + settle_us, ended_at = ?1, outcome = 'unknown', message = ?2,
		source = 'framework' WHERE state = 'running' AND durable = 1 AND safe = 1 AND attempt < max_attempts`
	buryRunning = `UPDATE execution SET state = 'dead', class = iif(safe, 'exhausted', 'unknown'), ended_at = ?1, outcome = 'unknown',
		message = ?2, retry = iif(safe, '', 'false'), source = 'framework', replayable = ?3 WHERE state = 'running' AND durable = 1`
	endRunning = `UPDATE execution SET state = 'done', class = 'unknown', ended_at = ?1, outcome = 'unknown', message = ?2,
		retry = 'false', source = 'framework' WHERE state = 'running'`
)

// recover puts back what was running when the process before ended.
func (l *Ledger) recover(ctx context.Context) error {
	now := micros(l.options.now())
	tx, err := l.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	count := func(n *int64, statement string, args ...any) {
		if err != nil {
			return
		}
		var result sql.Result
		if result, err = tx.ExecContext(ctx, statement, args...); err == nil {
			*n, err = result.RowsAffected()
		}
	}
	count(&l.recovered.Queued, requeueRunning, now, interrupted)
	count(&l.recovered.Dead, buryRunning, now, interrupted, l.options.SealParams != nil)
	count(&l.recovered.Unknown, endRunning, now, interrupted)
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	l.totals.buried.Add(uint64(l.recovered.Dead)) //nolint:gosec // a count
	return tx.Commit()
}

// Recovered is what [Open] did with executions that were running when the process
// before ended.
type Recovered struct {
	Queued  int64 // again, since they are safe to repeat
	Dead    int64 // since they are not, or have had all their attempts
	Unknown int64 // of which somebody waited for the answer
}

// Recovered returns it.
func (l *Ledger) Recovered() Recovered { return l.recovered }

const (
	selectQueue = `SELECT space, connector_id, type, count(*) FROM execution WHERE state = 'queued'
		GROUP BY space, connector_id, type`
	selectLast = `SELECT ifnull(max(seq), 0) FROM execution`
)

// load counts what is queued.
func (l *Ledger) load(ctx context.Context) error {
	if err := l.read.GetContext(ctx, &l.seq, selectLast); err != nil {
		return fmt.Errorf("select the last execution: %w", err)
	}
	rows, err := l.read.QueryContext(ctx, selectQueue)
	if err != nil {
		return fmt.Errorf("count what is queued: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var p place
		var n int
		if err := rows.Scan(&p.space, &p.connector, &p.typeID, &n); err != nil {
			return fmt.Errorf("count what is queued: %w", err)
		}
		l.queue.places[p] = count{n, n}
		l.queue.active += n
		l.queue.waits += n
	}
	return rows.Err()
}
