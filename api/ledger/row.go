package ledger

import (
	"database/sql"
	"errors"
	"time"

	"patchbay.dev/shared/wire"
)

// executionColumns and attemptColumns are columns as row and attemptRow scan them; e is
// the table of executions.
const (
	executionColumns = `e.seq, e.id, e.space, e.connector_id, e.connector_name, e.type, e.durable, e.state, e.class,
	e.created_at, e.queued_at, e.due_at, e.bytes, e.trace_id, e.key, e.max_attempts, e.replayable`
	attemptColumns = `e.attempt, e.started_at, e.ended_at, e.queue_us, e.dispatch_us, e.run_us, e.outcome, e.message,
	e.service_message, e.retry, e.source, e.worker`
	columns = executionColumns + `, ` + attemptColumns
)

type row struct {
	Execution
	created, queued, due int64
	attempt              attemptRow
}

// dest returns where columns are scanned to.
func (r *row) dest(more ...any) []any {
	e := &r.Execution
	return append(append([]any{
		&e.Seq, &e.ID, &e.Space, &e.ConnectorID, &e.ConnectorName, &e.Type, &e.Durable, &e.State, &e.Class,
		&r.created, &r.queued, &r.due, &e.Bytes, &e.TraceID, &e.Key, &e.MaxAttempts, &e.Replayable,
	}, r.attempt.dest()...), more...)
}

// execution returns what was scanned.
func (r *row) execution() Execution {
	e := r.Execution
	e.CreatedAt, e.QueuedAt = moment(r.created), moment(r.queued)
	ended := e.State == Done || e.State == Dead
	if e.State == Queued {
		e.DueAt = moment(r.due)
	}
	if ended {
		e.EndedAt = moment(r.attempt.ended)
	}
	e.Outcome = r.attempt.outcome
	e.Attempt.Number = r.attempt.number
	if r.attempt.started != 0 {
		e.Attempt = r.attempt.attempt(ended)
	}
	return e
}

type attemptRow struct {
	number                          int
	started, ended                  int64
	queue, dispatch, run            int64
	outcome                         wire.Outcome
	message, service, retry, worker string
	source                          wire.Source
}

func (r *attemptRow) dest() []any {
	return []any{
		&r.number, &r.started, &r.ended, &r.queue, &r.dispatch, &r.run, &r.outcome, &r.message, &r.service,
		&r.retry, &r.source, &r.worker,
	}
}

func (r *attemptRow) attempt(last bool) Attempt {
	a := Attempt{
		Number:    r.number,
		Last:      last,
		DueAt:     moment(r.started - r.queue),
		StartedAt: moment(r.started),
		EndedAt:   moment(r.ended),
		Queue:     time.Duration(r.queue) * time.Microsecond,
		Dispatch:  time.Duration(r.dispatch) * time.Microsecond,
		Run:       time.Duration(r.run) * time.Microsecond,
		Outcome:   r.outcome,
		Worker:    r.worker,
	}
	if r.message != "" || r.outcome == wire.Error || r.outcome == wire.Unknown {
		a.Failure = &wire.Failure{
			Message: r.message, ServiceMessage: r.service, Retry: advice(r.retry), Source: r.source,
			Unknown: r.outcome == wire.Unknown,
		}
	}
	return a
}

// advice reads what [adviceText] wrote.
func advice(s string) (r wire.Retry) {
	if s != "" {
		_ = r.UnmarshalJSON([]byte(s)) // one that cannot be read is none
	}
	return r
}

// adviceText is how a retry stands in the database.
func adviceText(r wire.Retry) string {
	if r.IsZero() {
		return ""
	}
	text, err := r.MarshalJSON()
	if err != nil {
		return ""
	}
	return string(text)
}

// advisesAgain reports whether the advice is to try again, now or later.
func advisesAgain(s string) bool { return s != "" && s != "false" }

func noRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
