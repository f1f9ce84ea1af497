package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// group writes ops and records in one transaction or, where one of them fails, each
// in its own. The error is that of the records.
func (l *Ledger) group(ops []*op, records []Record) error {
	if len(ops) == 0 && len(records) == 0 {
		return nil
	}
	err := l.transact(ops, records)
	var failed *statementError
	alone := len(ops)+min(len(records), 1) == 1
	if !errors.As(err, &failed) || alone {
		for _, o := range ops {
			o.done <- err
		}
		return err
	}
	for _, o := range ops {
		o.done <- l.transact([]*op{o}, nil)
	}
	if len(records) == 0 {
		return nil
	}
	return l.transact(nil, records)
}

// statementError is an error of one of those that share a transaction: another than
// that of its begin or commit, which is everyone's.
type statementError struct{ err error }

func (e *statementError) Error() string { return e.err.Error() }
func (e *statementError) Unwrap() error { return e.err }

// transact writes ops and records in one transaction. After any error nothing of them
// is written.
func (l *Ledger) transact(ops []*op, records []Record) error {
	g := &group{ledger: l, now: l.options.now()}
	if _, err := g.exec(`BEGIN IMMEDIATE`); err != nil {
		return fmt.Errorf("begin a transaction: %w", explain(err))
	}
	err := g.apply(ops, records)
	if err == nil {
		if _, err = g.exec(`COMMIT`); err == nil {
			g.publish()
			l.totals.count(ops, records, g.buried)
			return nil
		}
		err = fmt.Errorf("commit: %w", explain(err))
	}
	// SQLite has rolled back by itself after some errors, and then refuses this.
	_, _ = g.exec(`ROLLBACK`)
	return err
}

// group is a transaction with what is to be known once it is committed.
type group struct {
	ledger  *Ledger
	now     time.Time
	changes map[place]count
	active  int // the sum of those of changes
	queued  bool
	drained int        // durable executions that ended
	buried  int        // of them, as dead letters
	ended   []watchKey // of any kind
	dropped int        // records
}

func (g *group) apply(ops []*op, records []Record) error {
	for _, o := range ops {
		if err := o.apply(g); err != nil {
			return &statementError{explain(err)}
		}
	}
	if err := g.records(records); err != nil {
		return &statementError{err}
	}
	return nil
}

// count changes how many executions of a place wait, and wait or run.
func (g *group) count(p place, waiting, active int) {
	if g.changes == nil {
		g.changes = map[place]count{}
	}
	c := g.changes[p]
	g.changes[p] = count{c.waiting + waiting, c.active + active}
	g.active += active
	g.queued = g.queued || waiting > 0
}

// room returns nil if one more execution of a place may be queued.
func (g *group) room(p place) error {
	l := g.ledger
	if l.queue.active+g.active >= l.options.MaxQueued {
		return ErrFull
	}
	if l.queue.places[p].active+g.changes[p].active >= l.options.MaxQueuedPerConnector {
		return ErrConnectorFull
	}
	return nil
}

// end has those that wait for the end of an execution hear of it.
func (g *group) end(space, id string, durable bool) {
	g.ended = append(g.ended, watchKey{space, id})
	if durable {
		g.drained++
	}
}

// publish tells of what was committed.
func (g *group) publish() {
	l := g.ledger
	if l.queue.active == 0 {
		l.pace.begin(g.now)
	}
	l.queue.add(g.changes)
	if g.drained > 0 {
		l.pace.add(g.now, g.drained)
	}
	l.watches.end(g.ended)
	l.log.lose(g.dropped)
	if g.queued {
		signal(l.changed)
	}
}

// exec and the like run without a context that can end: one would cost a goroutine per
// statement, and what has begun is to be finished.
func (g *group) exec(query string, args ...any) (sql.Result, error) {
	return g.ledger.writer.ExecContext(context.Background(), query, args...)
}

// change reports whether a statement changed a row.
func (g *group) change(query string, args ...any) (bool, error) {
	result, err := g.exec(query, args...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

func (g *group) row(query string, args ...any) *sql.Row {
	return g.ledger.writer.QueryRowContext(context.Background(), query, args...)
}
