package ledger

import (
	"context"
	"encoding/json"
	"fmt"

	"patchbay.dev/shared/wire"
)

const selectAttempts = `SELECT ` + attemptColumns + ` FROM attempt e WHERE e.seq = ? ORDER BY e.attempt`

// Get returns an execution and all its attempts, the first one first, or [ErrNotFound].
func (l *Ledger) Get(ctx context.Context, space, id string) (Execution, []Attempt, error) {
	ctx = context.WithoutCancel(ctx) // see Due
	for {
		var r row
		err := l.read.QueryRowContext(ctx, selectByID, space, id).Scan(r.dest()...)
		if noRows(err) {
			return Execution{}, nil, ErrNotFound
		}
		if err != nil {
			return Execution{}, nil, fmt.Errorf("select execution %s: %w", id, explain(err))
		}
		e := r.execution()
		var attempts []Attempt
		if e.Attempt.Number > 1 || e.Attempt.Number == 1 && e.Attempt.StartedAt.IsZero() {
			if attempts, err = l.earlier(ctx, e.Seq); err != nil {
				return Execution{}, nil, fmt.Errorf("select attempts of execution %s: %w", id, explain(err))
			}
		}
		if !e.Attempt.StartedAt.IsZero() {
			if n := len(attempts); n > 0 && attempts[n-1].Number >= e.Attempt.Number {
				continue // the next one began in between
			}
			attempts = append(attempts, e.Attempt)
		}
		return e, attempts, nil
	}
}

// earlier returns the attempts before the last one.
func (l *Ledger) earlier(ctx context.Context, seq int64) (attempts []Attempt, err error) {
	rows, err := l.read.QueryContext(ctx, selectAttempts, seq)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r attemptRow
		if err := rows.Scan(r.dest()...); err != nil {
			return nil, err
		}
		attempts = append(attempts, r.attempt(false))
	}
	return attempts, rows.Err()
}

const selectAnswer = `SELECT data FROM answer WHERE seq = ?`

// Answer returns the reply of the last attempt of an execution that ended, as its
// caller got or gets it, but for the length of its texts. Data is nil if it was not
// kept.
func (l *Ledger) Answer(ctx context.Context, e *Execution) (wire.Reply, error) {
	reply := wire.Reply{Failure: e.Attempt.Failure}
	if e.Outcome == Cancelled && reply.Failure == nil {
		reply.Failure = &wire.Failure{Message: "the execution was cancelled", Source: wire.User}
	}
	var data []byte
	err := l.read.QueryRowContext(context.WithoutCancel(ctx), selectAnswer, e.Seq).Scan(&data)
	if err != nil && !noRows(err) {
		return wire.Reply{}, fmt.Errorf("select the answer of execution %s: %w", e.ID, explain(err))
	}
	reply.Data = json.RawMessage(data)
	return reply, nil
}
