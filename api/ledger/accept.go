package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"patchbay.dev/shared/wire"
)

// Submission is an execution that someone asks for.
type Submission struct {
	ID            string
	Space         string
	ConnectorID   string
	ConnectorName string
	Type          string
	Key           string   // idempotency key, "" for none; one per space and connector
	Fingerprint   [32]byte // of the request, compared when the key is used again
	MaxAttempts   int
	Safe          bool          // what may have been carried out may be run again under this id
	Settle        time.Duration // and not sooner than that
	Params        json.RawMessage
	Access        *wire.Access
	Traceparent   string // W3C headers; "" for none
	Tracestate    string
}

// Acceptance is what came of a submission.
type Acceptance struct {
	Execution Execution // the new one or, with the same key and request, the one from before
	Known     bool      // it is one from before; beside ErrExists: it looks like this very submission
	Err       error     // ErrExists, ErrKeyReused, ErrRunning, ErrFull, ErrConnectorFull; nil if it is accepted
}

// place returns where s is queued.
func (s *Submission) place() place { return place{s.Space, s.ConnectorID, s.Type} }

// TraceID returns the id of the trace that a W3C traceparent names, "" for none.
func TraceID(parent string) string {
	const from, to = len("00-"), len("00-4bf92f3577b34da6a3ce929d0e0e4736")
	if len(parent) <= to || parent[from-1] != '-' || parent[to] != '-' {
		return ""
	}
	for _, sign := range []byte(parent[from:to]) {
		if (sign < '0' || sign > '9') && (sign < 'a' || sign > 'f') {
			return ""
		}
	}
	return parent[from:to]
}

// Accept queues executions, each on its own: the answer has one Acceptance for every
// submission, in order. When it returns without an error they are on disk. An error
// says that none was accepted. A submission whose key and request are those of an
// execution that may be run again, as [Ledger.Begin] says, is that execution's next
// attempt, under its id. [ErrRunning] if somebody has that execution run and waits for it:
// whether it will be carried out is not known yet, and nothing queues it.
func (l *Ledger) Accept(ctx context.Context, submissions []Submission) ([]Acceptance, error) {
	accesses := make([]string, len(submissions))
	acceptances := make([]Acceptance, len(submissions))
	o := &op{weight: len(submissions)}
	for i := range submissions {
		o.bytes += len(submissions[i].Params)
		var err error
		if accesses[i], err = accessText(submissions[i].Access); err != nil {
			return nil, err
		}
	}
	o.apply = func(g *group) error {
		for i := range submissions {
			var err error
			if acceptances[i], err = g.accept(&submissions[i], accesses[i]); err != nil {
				return fmt.Errorf("accept an execution: %w", err)
			}
		}
		return nil
	}
	if err := l.do(ctx, o); err != nil {
		return nil, err
	}
	return acceptances, nil
}

// accessText is how an access stands in the database; "" for none.
func accessText(a *wire.Access) (string, error) {
	if a == nil {
		return "", nil
	}
	text, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("encode an access: %w", err)
	}
	return string(text), nil
}

func (g *group) accept(s *Submission, access string) (Acceptance, error) {
	full := g.room(s.place())
	if full == nil {
		e, err := g.insert(s, true)
		if err != nil {
			return Acceptance{}, err
		}
		if e != nil {
			g.count(s.place(), 1, 1)
			return Acceptance{Execution: *e}, g.pay(e.Seq, s, access)
		}
	}
	before, err := g.before(s)
	if err != nil {
		return Acceptance{}, err
	}
	switch {
	case before.Known && before.Execution.State == Running && !before.Execution.Durable:
		return Acceptance{Execution: before.Execution, Err: ErrRunning}, nil
	case before.settled:
		return before.Acceptance, nil
	case full != nil:
		return Acceptance{Err: full}, nil //nolint:nilerr // it is the answer
	case before.Execution.Seq == 0: // the key was too old, and is free now
		return g.accept(s, access)
	}
	g.count(s.place(), 1, 1)
	e := &before.Execution
	if err := g.again(e, s); err != nil {
		return Acceptance{}, err
	}
	return Acceptance{Execution: *e}, g.pay(e.Seq, s, access)
}

const insertExecution = `
INSERT INTO execution (seq, id, space, connector_id, connector_name, type, durable, state, created_at, queued_at, due_at, bytes,
	trace_id, key, keyed, fingerprint, attempts, max_attempts, safe, settle_us, attempt, started_at, ended_at, queue_us, dispatch_us, run_us,
	outcome, message, service_message, retry, source, worker)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, '', '', '', '', '', '')
ON CONFLICT DO NOTHING RETURNING seq`

// insert inserts the execution that is asked for, queued or else running, and returns
// it; nil if its id or its key is taken.
func (g *group) insert(s *Submission, durable bool) (*Execution, error) {
	g.ledger.seq++
	e := &Execution{
		Seq: g.ledger.seq, ID: s.ID, Space: s.Space, ConnectorID: s.ConnectorID, ConnectorName: text(s.ConnectorName), Type: s.Type,
		Durable: durable, State: Queued, CreatedAt: moment(micros(g.now)), MaxAttempts: max(s.MaxAttempts, 1), Bytes: len(s.Params),
		TraceID: TraceID(s.Traceparent), Key: s.Key,
	}
	e.QueuedAt, e.DueAt = e.CreatedAt, e.CreatedAt
	if !durable {
		e.State, e.DueAt = Running, moment(0)
		e.Attempt = Attempt{Number: 1, DueAt: e.CreatedAt, StartedAt: e.CreatedAt}
	}
	var fingerprint any
	if s.Key != "" {
		fingerprint = s.Fingerprint[:]
	}
	now := micros(e.CreatedAt)
	inserted, err := g.ledger.directs.execution.exec(e.Seq, e.ID, e.Space, e.ConnectorID, e.ConnectorName, e.Type, durable, string(e.State),
		now, now, micros(e.DueAt), int64(e.Bytes), e.TraceID, e.Key, s.Key != "", fingerprint, int64(e.MaxAttempts),
		int64(e.MaxAttempts), s.Safe, s.Settle.Microseconds(), int64(e.Attempt.Number), micros(e.Attempt.StartedAt))
	if err != nil || !inserted {
		return nil, err
	}
	return e, nil
}

const insertPayload = `INSERT INTO payload (seq, params, access, traceparent, tracestate) VALUES (?, ?, ?, ?, ?)`

// pay keeps what it takes to run a queued execution.
func (g *group) pay(seq int64, s *Submission, access string) error {
	var limit any
	if access != "" {
		limit = access
	}
	_, err := g.ledger.directs.payload.exec(seq, string(s.Params), limit, text(s.Traceparent), text(s.Tracestate))
	return err
}
