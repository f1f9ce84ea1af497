package api

import (
	"encoding/json"
	"time"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

// executionBody is an execution as it is answered. It has no field for params or
// secrets.
type executionBody struct {
	ID             string       `json:"id"`
	ConnectorID    string       `json:"connector_id"`
	ConnectorName  string       `json:"connector_name"`
	TypeID         string       `json:"connector_type_id"`
	Durable        bool         `json:"durable"` // it was queued, not answered at once
	Status         ledger.State `json:"status"`
	Outcome        wire.Outcome `json:"outcome,omitempty"`
	ErrorClass     ledger.Class `json:"error_class,omitempty"`
	CreatedAt      stamp        `json:"created_at"`
	DueAt          stamp        `json:"due_at,omitzero"` // of the next attempt, while queued
	EndedAt        stamp        `json:"ended_at,omitzero"`
	LastAttempt    *attemptBody `json:"last_attempt,omitempty"`
	MaxAttempts    int          `json:"max_attempts"`
	ParamsBytes    int          `json:"params_bytes"`
	TraceID        string       `json:"trace_id,omitempty"`
	IdempotencyKey string       `json:"idempotency_key,omitempty"`
	Replayable     bool         `json:"replayable"`
}

// oneExecutionBody is that of one, with everything that is known of it.
type oneExecutionBody struct {
	executionBody
	Attempts []attemptBody `json:"attempts"`
	Result   any           `json:"result,omitempty"` // the body of a synchronous answer
}

// attemptBody is one run of an execution as it is answered.
type attemptBody struct {
	Number         int          `json:"number"`
	Last           bool         `json:"last"`
	StartedAt      stamp        `json:"started_at"`
	EndedAt        stamp        `json:"ended_at,omitzero"`
	QueueMillis    took         `json:"queue_ms"`
	DispatchMillis took         `json:"dispatch_ms"`
	RunMillis      took         `json:"run_ms"`
	Outcome        wire.Outcome `json:"outcome,omitempty"`
	Message        string       `json:"message,omitempty"`
	ServiceMessage string       `json:"service_message,omitempty"`
	Retry          wire.Retry   `json:"retry,omitzero"`
	ErrorSource    wire.Source  `json:"error_source,omitempty"`
	Worker         string       `json:"worker,omitempty"`
}

// stamp is a time in UTC with milliseconds.
type stamp struct{ time.Time }

// MarshalJSON implements [json.Marshaler].
func (s stamp) MarshalJSON() ([]byte, error) {
	return []byte(s.UTC().Format(`"2006-01-02T15:04:05.000Z"`)), nil
}

// took is a duration in milliseconds, with its microseconds after the point.
type took time.Duration

// MarshalJSON implements [json.Marshaler].
func (m took) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(time.Duration(m).Microseconds()) / 1000)
}

func presentExecution(e *ledger.Execution) executionBody {
	body := executionBody{
		ID: e.ID, ConnectorID: e.ConnectorID, ConnectorName: e.ConnectorName, TypeID: e.Type, Durable: e.Durable,
		Status: e.State, Outcome: e.Outcome, ErrorClass: e.Class,
		CreatedAt: stamp{e.CreatedAt}, EndedAt: stamp{e.EndedAt},
		MaxAttempts: e.MaxAttempts, ParamsBytes: e.Bytes, TraceID: e.TraceID, IdempotencyKey: e.Key, Replayable: e.Replayable,
	}
	if e.State == ledger.Queued {
		body.DueAt = stamp{e.DueAt}
	}
	if !e.Attempt.StartedAt.IsZero() { // one that was discarded while queued has none
		last := presentAttempt(&e.Attempt)
		body.LastAttempt = &last
	}
	return body
}

func presentAttempt(a *ledger.Attempt) attemptBody {
	body := attemptBody{
		Number: a.Number, Last: a.Last, StartedAt: stamp{a.StartedAt}, EndedAt: stamp{a.EndedAt},
		QueueMillis: took(a.Queue), DispatchMillis: took(a.Dispatch), RunMillis: took(a.Run),
		Outcome: a.Outcome, Worker: a.Worker,
	}
	if f := a.Failure; f != nil {
		body.Message, body.ServiceMessage, body.Retry, body.ErrorSource = f.Message, f.ServiceMessage, f.Retry, f.Source
	}
	return body
}

// presentResult is the body of a synchronous answer.
func presentResult(connectorID string, reply wire.Reply) any {
	if reply.Failure != nil {
		return modern.failure(connectorID, reply.Failure)
	}
	return json.RawMessage(modern.appendOK(nil, connectorID, reply.Data))
}
