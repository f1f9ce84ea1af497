package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	sweepInterval = time.Minute
	sweepPiece    = 500  // rows that are deleted in one transaction
	sweepPage     = 2000 // rows that are looked at in one read
)

// retain seals and deletes what is due, until ctx ends. What it could not do it does
// the next time.
func (l *Ledger) retain(ctx context.Context) {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		_ = errors.Join(l.sealLeft(ctx), l.sweep(ctx, l.options.now()))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// sweep walks over the oldest executions and deletes those that are not kept any
// longer, in pieces between what others write.
func (l *Ledger) sweep(ctx context.Context, now time.Time) error {
	excess, err := l.excess(ctx)
	if err != nil {
		return fmt.Errorf("count executions that ended: %w", explain(err))
	}
	w := walk{options: &l.options, now: now, excess: excess}
	for !w.ended {
		if err := l.walk(ctx, &w); err != nil {
			return fmt.Errorf("select executions that are too old: %w", explain(err))
		}
		for len(w.old) >= sweepPiece || w.ended && len(w.old) > 0 {
			piece := w.old[:min(len(w.old), sweepPiece)]
			if err := l.do(ctx, &op{weight: len(piece), apply: func(g *group) error { return g.remove(piece) }}); err != nil {
				return err
			}
			w.old = w.old[len(piece):]
		}
	}
	return nil
}

const (
	countAll  = `SELECT count(*) FROM execution`
	countDead = `SELECT count(*) FROM execution INDEXED BY execution_dead WHERE state = 'dead'`
	countRuns = `SELECT count(*) FROM execution INDEXED BY execution_running WHERE state = 'running'`
	countWait = `SELECT count(*) FROM execution INDEXED BY execution_due WHERE state = 'queued'`
)

// excess returns how many executions that are Done are too many. Those that are not
// are counted by their own indexes: they are fewer.
func (l *Ledger) excess(ctx context.Context) (int, error) {
	var all, others int
	if err := l.read.GetContext(ctx, &all, countAll); err != nil || all <= l.options.LogCount {
		return 0, err
	}
	err := l.read.GetContext(ctx, &others, `SELECT (`+countDead+`) + (`+countRuns+`) + (`+countWait+`)`)
	return max(all-others-l.options.LogCount, 0), err
}

// walk goes over executions from the oldest on.
type walk struct {
	options *Options
	now     time.Time
	excess  int // how many of those that are Done and come now are too many
	seq     int64
	old     []old
	ended   bool
}

// old is an execution to delete.
type old struct {
	seq   int64
	plain bool // it is its one row
}

const selectOldest = `
SELECT seq, created_at, queued_at, state, ended_at, keyed, durable = 0 AND key = '' AND attempt = 1 FROM execution WHERE seq > ? ORDER BY seq LIMIT ?`

func (l *Ledger) walk(ctx context.Context, w *walk) error {
	rows, err := l.read.QueryContext(ctx, selectOldest, w.seq, sweepPage)
	if err != nil {
		return err
	}
	defer rows.Close()
	seen := 0
	for ; !w.ended && rows.Next(); seen++ {
		var state State
		var created, queued, ended int64
		var keyed, plain bool
		if err := rows.Scan(&w.seq, &created, &queued, &state, &ended, &keyed, &plain); err != nil {
			return err
		}
		w.look(state, moment(created), moment(queued), moment(ended), keyed, plain)
	}
	w.ended = w.ended || seen < sweepPage
	return rows.Err()
}

// look decides about one execution.
func (w *walk) look(state State, created, queued, ended time.Time, keyed, plain bool) {
	o := w.options
	tooMany := w.excess > 0
	if state == Done {
		w.excess--
	}
	if !tooMany && w.now.Sub(created) < min(o.LogAge, o.DeadAge) {
		w.ended = true // and those that come are younger
		return
	}
	age := w.now.Sub(ended)
	switch {
	case keyed && w.now.Sub(keyTime(created, queued, ended)) < o.KeyAge:
		// The same request would be run again.
	case state == Done && (tooMany || age >= o.LogAge), state == Dead && age >= o.DeadAge:
		w.old = append(w.old, old{w.seq, plain})
	}
}

const (
	// A dead letter may have been replayed, and what was cancelled run again.
	deleteEnded    = `DELETE FROM execution WHERE seq = ? AND state IN ('done', 'dead')`
	deletePlain    = deleteEnded + ` AND attempt = 1`
	deleteAttempts = `DELETE FROM attempt WHERE seq = ?`
)

func (g *group) remove(piece []old) error {
	for _, o := range piece {
		if err := g.removeOne(o); err != nil {
			return fmt.Errorf("delete an execution: %w", err)
		}
	}
	return nil
}

func (g *group) removeOne(o old) error {
	if o.plain {
		_, err := g.exec(deletePlain, o.seq)
		return err
	}
	deleted, err := g.change(deleteEnded, o.seq)
	if err != nil || !deleted {
		return err
	}
	for _, statement := range []string{deleteAttempts, deletePayload, deleteAnswer} {
		if _, err := g.exec(statement, o.seq); err != nil {
			return err
		}
	}
	return nil
}
