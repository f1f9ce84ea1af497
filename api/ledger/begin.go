package ledger

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"patchbay.dev/shared/wire"
)

// Begin records that an execution with a key, which somebody waits for, is about to
// run. An execution from before with the same key and request is Known, unless it may
// be run again: it is Done, and was cancelled before its first attempt, or its outcome is
// an error that advises to retry, or it is unknown or cancelled and Safe; or it is a dead
// letter whose attempts or time were used up. Then it is the same execution with its next
// attempt.
func (l *Ledger) Begin(ctx context.Context, s Submission) (Acceptance, error) {
	var a Acceptance
	err := l.do(ctx, &op{weight: 1, apply: func(g *group) (err error) {
		if a, err = g.begin(&s); err != nil {
			err = fmt.Errorf("begin an execution: %w", err)
		}
		return err
	}})
	return a, err
}

func (g *group) begin(s *Submission) (Acceptance, error) {
	e, err := g.insert(s, false)
	if err != nil {
		return Acceptance{}, err
	}
	if e != nil {
		return Acceptance{Execution: *e}, nil
	}
	before, err := g.before(s)
	switch {
	case err != nil:
		return Acceptance{}, err
	case before.settled:
		return before.Acceptance, nil
	case before.Execution.Seq == 0:
		return g.begin(s)
	}
	e = &before.Execution
	if err := g.again(e, nil); err != nil {
		return Acceptance{}, err
	}
	err = g.attempt(e, moment(micros(g.now)), g.now)
	return Acceptance{Execution: *e}, err
}

// earlier is an execution that has the id or the key of a submission.
type earlier struct {
	Acceptance
	settled bool // nothing is to be run
}

const (
	selectByID  = `SELECT ` + columns + ` FROM execution e WHERE e.space = ? AND e.id = ?`
	selectByKey = `SELECT ` + columns + `, e.fingerprint, e.safe FROM execution e
		WHERE e.space = ? AND e.connector_id = ? AND e.key = ? AND e.keyed = 1`
	releaseKey = `UPDATE execution SET keyed = 0 WHERE seq = ?`
)

// before returns what has the key or the id of s; the key goes first, since who asks
// again may send both again. If it is not settled the execution may be run again or,
// with a Seq of 0, there is none.
func (g *group) before(s *Submission) (earlier, error) {
	if s.Key != "" {
		if e, err := g.beforeByKey(s); err != nil || e.Execution.Seq != 0 {
			return e, err
		}
	}
	var r row
	if err := g.row(selectByID, s.Space, s.ID).Scan(r.dest()...); err != nil {
		return earlier{}, ignoreNoRows(err)
	}
	e := r.execution()
	same := e.Durable && e.ConnectorID == s.ConnectorID && e.Key == s.Key && e.Bytes == len(s.Params)
	return earlier{Acceptance{Execution: e, Known: same, Err: ErrExists}, true}, nil
}

func (g *group) beforeByKey(s *Submission) (earlier, error) {
	var r row
	var fingerprint []byte
	var safe bool
	if err := g.row(selectByKey, s.Space, s.ConnectorID, s.Key).Scan(r.dest(&fingerprint, &safe)...); err != nil {
		return earlier{}, ignoreNoRows(err)
	}
	e := r.execution()
	ended := e.State == Done || e.State == Dead
	another := e.Type != s.Type // the connector was made anew
	if ended && (another || g.now.Sub(keyTime(e.CreatedAt, e.QueuedAt, e.EndedAt)) >= g.ledger.options.KeyAge) {
		_, err := g.exec(releaseKey, e.Seq)
		return earlier{}, err
	}
	if another || !bytes.Equal(fingerprint, s.Fingerprint[:]) {
		return earlier{Acceptance{Execution: e, Err: ErrKeyReused}, true}, nil
	}
	if ended && again(&e, r.attempt.retry, safe) {
		return earlier{Acceptance{Execution: e}, false}, nil
	}
	return earlier{Acceptance{Execution: e, Known: true}, true}, nil
}

func ignoreNoRows(err error) error {
	if noRows(err) {
		return nil
	}
	return err
}

// keyTime is when the age of a key begins: what was replayed or run again may have been
// carried out long after it was created.
func keyTime(created, queued, ended time.Time) time.Time {
	return slices.MaxFunc([]time.Time{created, queued, ended}, time.Time.Compare)
}

// again reports whether the same request may be run again after e, which has ended.
func again(e *Execution, retry string, safe bool) bool {
	if e.State == Dead {
		return (e.Class == Exhausted || e.Class == Expired) && (safe || e.Outcome != wire.Unknown)
	}
	switch e.Outcome {
	case Cancelled: // who left may have had it carried out; with advice it was not run
		return safe || e.Attempt.Number == 0 || advisesAgain(retry)
	case wire.Error:
		return advisesAgain(retry)
	case wire.Unknown:
		return safe
	default:
		return false
	}
}

const (
	deleteAnswer = `DELETE FROM answer WHERE seq = ?`
	requeue      = `UPDATE execution SET state = 'queued', durable = 1, class = '', queued_at = ?, due_at = ?, bytes = ?, trace_id = ?,
		max_attempts = attempt + ?, attempts = ?, safe = ?, settle_us = ?, lost = 0, replayable = 0 WHERE seq = ?`
	callAgain = `UPDATE execution SET durable = 0, class = '', replayable = 0, max_attempts = attempt + 1 WHERE seq = ?`
)

// again readies an execution that has ended for another attempt: queued with what s
// brings or, with nil, to be begun by [group.attempt]. What a dead letter kept goes.
func (g *group) again(e *Execution, s *Submission) error {
	for _, statement := range []string{deleteAnswer, deletePayload} {
		if _, err := g.exec(statement, e.Seq); err != nil {
			return err
		}
	}
	e.Class, e.EndedAt, e.Attempt.Last, e.Replayable = "", moment(0), false, false
	if s == nil {
		e.Durable, e.MaxAttempts = false, e.Attempt.Number+1
		_, err := g.exec(callAgain, e.Seq)
		return err
	}
	e.Durable, e.State, e.QueuedAt = true, Queued, moment(micros(g.now))
	e.DueAt, e.Bytes, e.TraceID = e.QueuedAt, len(s.Params), TraceID(s.Traceparent)
	attempts := max(s.MaxAttempts, 1)
	e.MaxAttempts = e.Attempt.Number + attempts
	_, err := g.exec(requeue, micros(g.now), micros(g.now), int64(e.Bytes), e.TraceID, int64(attempts), int64(attempts), s.Safe, s.Settle.Microseconds(), e.Seq)
	return err
}
