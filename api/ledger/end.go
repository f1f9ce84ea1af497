package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Ending is how an attempt ended, and what is to follow.
type Ending struct {
	Seq     int64
	Attempt Attempt
	State   State     // Queued for another attempt, Done or Dead
	DueAt   time.Time // of the next attempt, when Queued
	Class   Class
	// NotRun takes the attempt back: nothing was run, and it does not count.
	NotRun bool
	Lost   bool // the worker died on it
	// Data is the destination's answer, for who asks for it by id or key; nil for none.
	Data json.RawMessage
}

// Backoff of [Ledger.End].
const (
	firstWait = 50 * time.Millisecond
	maxWait   = 2 * time.Second
)

// End records how an attempt ended, of a Job or of an execution that Begin recorded.
// It is on disk when it returns. Whatever keeps it from being written, as a full disk
// does, it keeps trying, with backoff, until ctx ends or the ledger is closed.
// [ErrNotFound] if that attempt is not running. Something that was not run and is Done
// nevertheless may be asked for again: it is recorded with the advice to.
func (l *Ledger) End(ctx context.Context, e Ending) error {
	if e.State == Dead {
		l.sealing.RLock()
		defer l.sealing.RUnlock()
	}
	sealed, left := l.sealedParams(ctx, &e)
	if left {
		defer l.unsealed.Store(true) // once it is dead, so that no sweep comes too early
	}
	o := &op{weight: 1, bytes: len(e.Data), apply: func(g *group) error {
		if err := g.conclude(&e, sealed); err != nil {
			return fmt.Errorf("end an attempt: %w", err)
		}
		return nil
	}}
	for wait := firstWait; ; wait = min(2*wait, maxWait) {
		err := l.do(ctx, o)
		if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, errClosed) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

const conclude = `
UPDATE execution SET state = ?, class = ?, due_at = ?, lost = lost + ?, ended_at = ?, dispatch_us = ?, run_us = ?, outcome = ?,
	message = ?, service_message = ?, retry = ?, source = ?, worker = ?
WHERE seq = ? AND state = 'running' AND (attempt = ? OR ? = 0)
RETURNING id, space, connector_id, type, durable, attempt`

// conclude writes an ending. sealed are the params of a dead letter; nil for none.
func (g *group) conclude(e *Ending, sealed []byte) error {
	a := &e.Attempt
	failure := a.failure()
	retry := adviceText(failure.Retry)
	if e.NotRun && e.State == Done && !advisesAgain(retry) {
		retry = "true"
	}
	ended := a.EndedAt
	if ended.IsZero() {
		ended = g.now
	}
	lost := 0
	if e.Lost {
		lost = 1
	}
	var id string
	var p place
	var durable bool
	var number int
	err := g.row(conclude, string(e.State), string(e.Class), micros(e.DueAt), lost, micros(ended), a.Dispatch.Microseconds(),
		a.Run.Microseconds(), string(a.Outcome), text(failure.Message), text(failure.ServiceMessage), retry,
		string(failure.Source), text(a.Worker), e.Seq, a.Number, a.Number).Scan(&id, &p.space, &p.connector, &p.typeID, &durable, &number)
	if noRows(err) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	if e.State == Queued {
		g.count(p, 1, 0)
		if e.NotRun {
			return g.takeBack(e.Seq, number)
		}
		return nil
	}
	if durable {
		g.count(p, 0, -1)
	}
	if e.State == Dead {
		g.buried++
	}
	g.end(p.space, id, durable)
	if e.Data != nil {
		if _, err := g.exec(insertAnswer, e.Seq, string(e.Data)); err != nil {
			return err
		}
	}
	return g.bury(e.Seq, e.State, sealed)
}

const (
	insertAnswer  = `INSERT INTO answer (seq, data) VALUES (?, ?) ON CONFLICT (seq) DO UPDATE SET data = excluded.data`
	deletePayload = `DELETE FROM payload WHERE seq = ?`
	sealPayload   = `UPDATE payload SET params = NULL, sealed = ? WHERE seq = ?`
	setReplayable = `UPDATE execution SET replayable = 1 WHERE seq = ? AND EXISTS (SELECT 1 FROM payload WHERE seq = execution.seq)`
)

// bury forgets the params of an execution that ended, or keeps those of a dead letter.
func (g *group) bury(seq int64, state State, sealed []byte) error {
	if state != Dead || g.ledger.options.SealParams == nil {
		_, err := g.exec(deletePayload, seq)
		return err
	}
	if sealed != nil {
		if _, err := g.exec(sealPayload, sealed, seq); err != nil {
			return err
		}
	}
	_, err := g.exec(setReplayable, seq)
	return err
}

const (
	takeBack = `UPDATE execution SET attempt = attempt - 1, started_at = 0, ended_at = 0, queue_us = 0, dispatch_us = 0, run_us = 0,
		outcome = '', message = '', service_message = '', retry = '', source = '', worker = '' WHERE seq = ?`
	restoreAttempt = `UPDATE execution SET (started_at, ended_at, queue_us, dispatch_us, run_us, outcome, message, service_message,
			retry, source, worker) = (a.started_at, a.ended_at, a.queue_us, a.dispatch_us, a.run_us, a.outcome, a.message,
			a.service_message, a.retry, a.source, a.worker)
		FROM attempt a WHERE execution.seq = ? AND a.seq = execution.seq AND a.attempt = execution.attempt`
	deleteAttempt = `DELETE FROM attempt WHERE seq = ? AND attempt = (SELECT attempt FROM execution WHERE seq = ?)`
)

// takeBack makes the attempt before this one the last again.
func (g *group) takeBack(seq int64, number int) error {
	if _, err := g.exec(takeBack, seq); err != nil || number == 1 {
		return err
	}
	if _, err := g.exec(restoreAttempt, seq); err != nil {
		return err
	}
	_, err := g.exec(deleteAttempt, seq, seq)
	return err
}
