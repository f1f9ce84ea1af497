package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"patchbay.dev/shared/wire"
)

// Job is a durable execution whose attempt was claimed, with what it takes to run it.
type Job struct {
	Execution               // State is Running, Attempt.Number the one that begins
	Safe                    bool
	Settle                  time.Duration
	Lost                    int             // workers that died on it so far
	Params                  json.RawMessage // nil if SealedParams is not
	SealedParams            []byte          // of a dead letter that is replayed
	Access                  *wire.Access
	Traceparent, Tracestate string
}

// Due is an execution whose time has come.
type Due struct {
	Seq   int64
	Bytes int
}

const (
	selectDue = `SELECT seq, bytes FROM execution
		WHERE space = ? AND connector_id = ? AND type = ? AND state = 'queued' AND due_at <= ? ORDER BY due_at, seq LIMIT ?`
	selectNext = `SELECT due_at FROM execution
		WHERE space = ? AND connector_id = ? AND type = ? AND state = 'queued' AND due_at > ? ORDER BY due_at LIMIT 1`
)

// Due returns executions of a place that are queued and due, the oldest first. next is
// when the first of those that are not due will be; zero for none.
func (l *Ledger) Due(ctx context.Context, p Place, now time.Time, limit int) (due []Due, next time.Time, err error) {
	// A context that can end would cost a goroutine per statement.
	ctx = context.WithoutCancel(ctx)
	rows, err := l.read.QueryContext(ctx, selectDue, p.Space, p.ConnectorID, p.Type, micros(now), limit)
	if err != nil {
		return nil, next, fmt.Errorf("select executions that are due: %w", explain(err))
	}
	defer rows.Close()
	for rows.Next() {
		var d Due
		if err := rows.Scan(&d.Seq, &d.Bytes); err != nil {
			return nil, next, fmt.Errorf("select executions that are due: %w", explain(err))
		}
		due = append(due, d)
	}
	if err := rows.Err(); err != nil {
		return nil, next, fmt.Errorf("select executions that are due: %w", explain(err))
	}
	var at int64
	err = l.read.QueryRowContext(ctx, selectNext, p.Space, p.ConnectorID, p.Type, micros(now)).Scan(&at)
	if err != nil && !noRows(err) {
		return nil, next, fmt.Errorf("select when the next execution is due: %w", explain(err))
	}
	return due, moment(at), nil
}

// Claim begins the next attempt of those that are queued and due, and returns them;
// others are left out. It is on disk when it returns.
func (l *Ledger) Claim(ctx context.Context, seqs []int64, now time.Time) ([]Job, error) {
	var jobs []Job
	err := l.do(ctx, &op{weight: len(seqs), apply: func(g *group) error {
		jobs = nil
		for _, seq := range seqs {
			job, err := g.claim(seq, now)
			if err != nil {
				return fmt.Errorf("claim an execution: %w", err)
			}
			if job != nil {
				jobs = append(jobs, *job)
			}
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	return jobs, nil
}

// Two statements: SQLite would plan a join anew with every value that is bound.
const (
	selectJob = `SELECT ` + columns + `, e.safe, e.settle_us, e.lost FROM execution e
		WHERE e.seq = ? AND e.state = 'queued' AND e.due_at <= ?`
	selectPayload = `SELECT params, sealed, access, traceparent, tracestate FROM payload WHERE seq = ?`
)

func (g *group) claim(seq int64, now time.Time) (*Job, error) {
	var r row
	var job Job
	var settle int64
	if err := g.row(selectJob, seq, micros(now)).Scan(r.dest(&job.Safe, &settle, &job.Lost)...); err != nil {
		return nil, ignoreNoRows(err)
	}
	var params, access []byte
	err := g.row(selectPayload, seq).Scan(&params, &job.SealedParams, &access, &job.Traceparent, &job.Tracestate)
	if err != nil && !noRows(err) { // without any it fails as one, and takes no other with it
		return nil, err
	}
	job.Execution, job.Params, job.Settle = r.execution(), params, time.Duration(settle)*time.Microsecond
	if access != nil {
		if err := json.Unmarshal(access, &job.Access); err != nil {
			return nil, fmt.Errorf("access of execution %d: %w", seq, err)
		}
	}
	g.count(place{job.Space, job.ConnectorID, job.Type}, -1, 0)
	return &job, g.attempt(&job.Execution, job.DueAt, now)
}

const (
	insertAttempt = `INSERT INTO attempt (seq, attempt, started_at, ended_at, queue_us, dispatch_us, run_us, outcome, message,
		service_message, retry, source, worker)
	SELECT seq, attempt, started_at, ended_at, queue_us, dispatch_us, run_us, outcome, message, service_message, retry, source,
		worker FROM execution WHERE seq = ? AND started_at > 0`

	beginAttempt = `UPDATE execution SET state = 'running', attempt = attempt + 1, started_at = ?, ended_at = 0, queue_us = ?,
		dispatch_us = 0, run_us = 0, outcome = '', message = '', service_message = '', retry = '', source = '', worker = ''
	WHERE seq = ?`
)

// attempt begins the next attempt of an execution and sets that of e. The one before
// goes to the table of those.
func (g *group) attempt(e *Execution, due, now time.Time) error {
	if e.Attempt.Number > 0 {
		if _, err := g.exec(insertAttempt, e.Seq); err != nil {
			return err
		}
	}
	now = moment(micros(now))
	e.State, e.Outcome, e.DueAt = Running, "", time.Time{}
	e.Attempt = Attempt{Number: e.Attempt.Number + 1, DueAt: due, StartedAt: now, Queue: now.Sub(due)}
	_, err := g.exec(beginAttempt, micros(now), e.Attempt.Queue.Microseconds(), e.Seq)
	return err
}
