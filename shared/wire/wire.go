// Package wire is what crosses the broker between api and worker: subjects,
// bodies and signals of protocol version 1. Golden files freeze its bytes.
//
// The api publishes a [Request] to [Subject] with a reply inbox. A worker
// answers there: with a [Reply] as the body and no header, or with a header
// [SignalHeader] and no body. Time is sent as a duration, because the clocks of
// two machines differ.
package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// QueueGroup is the queue group of every worker.
const QueueGroup = "workers"

// SignalHeader is the header of an answer that is not a [Reply]. NATS headers
// are case-sensitive; ours are lower case.
const SignalHeader = "patchbay-signal"

// Signals, the values of [SignalHeader].
const (
	// Busy says that the worker has no room for the job now and did not start it.
	Busy = "busy"
	// Running says that the job is still running; sent by jobs that last.
	Running = "running"
	// Probe asks, in a message without a body to [Subject], whether a worker hears
	// and may answer. It is answered at once and the same, and nothing is run.
	Probe = "probe"
)

// InboxPrefix begins the reply inboxes of every api. A broker lets workers send
// there and none listen: the last part of a reply subject is random, so that only
// who holds the request can answer it, also on another connection than it came.
const InboxPrefix = "_INBOX_api"

// When a running job is heard of, counted from when the worker has its request and
// then from signal to signal. An api that hears nothing for three intervals gives the worker up.
const (
	FirstHeartbeat    = 250 * time.Millisecond
	HeartbeatInterval = time.Second
	MissedHeartbeats  = 3
)

const prefix = "patchbay.v1."

// Subject returns the subject of executions of a connector type, ".server-log"
// → "patchbay.v1.execute.server-log". The id loses its dot, which would make an
// empty token that no subscription matches; an id with other signs than
// a-z, 0-9, - and _ is refused.
func Subject(typeID string) (string, error) { return subject("execute.", typeID) }

// CancelSubject returns the subject on which workers of a type hear that nobody
// waits for an execution any more; the body is the reply subject of its request,
// which no other request ever has.
func CancelSubject(typeID string) (string, error) { return subject("cancel.", typeID) }

func subject(verb, typeID string) (string, error) {
	token := strings.TrimPrefix(typeID, ".")
	if token == "" || strings.Trim(token, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return "", fmt.Errorf("connector type %q cannot stand in a subject", typeID)
	}
	return prefix + verb + token, nil
}

// Encode returns a [Request] or [Reply] as it crosses the broker. It leaves the
// raw parts their signs: json.Marshal would turn a < that a client sent into
// \u003c, which is other bytes and six times as many.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Request asks a worker to run a connector once.
type Request struct {
	ExecutionID string `json:"execution_id"`
	// Given says that the caller chose the execution id, so that another request
	// with the same one is the same execution run again.
	Given bool `json:"given,omitempty"`
	// Attempt counts the runs of an execution that is on record, from 1: its id
	// stays, and is [Request.Given] too. 0 is one that is not on record.
	Attempt   int             `json:"attempt,omitempty"`
	Space     string          `json:"space"`
	Connector Connector       `json:"connector"`
	TimeLeft  Millis          `json:"time_left_ms"`
	Params    json.RawMessage `json:"params,omitempty"`
	// SealedParams are the params, sealed for this execution, if they were kept so
	// that nobody but a worker reads them; Params are absent then.
	SealedParams []byte  `json:"sealed_params,omitempty"`
	Access       *Access `json:"access,omitempty"` // nil for no limit
}

// Connector is the connector that a [Request] runs.
type Connector struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"` // with its dot
	Name    string          `json:"name"`
	Version int64           `json:"version"` // grows with every update
	Config  json.RawMessage `json:"config"`
	Secrets []byte          `json:"secrets,omitempty"` // sealed; base64 in JSON
	// Preconfigured connectors are in every space: their secrets are bound to none.
	Preconfigured bool `json:"preconfigured,omitempty"`
}

// Millis is a duration that is written as a whole number of milliseconds.
type Millis time.Duration

// MarshalJSON rounds down, so that a worker never has more time than its caller.
func (m Millis) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%d", time.Duration(m).Milliseconds()), nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (m *Millis) UnmarshalJSON(data []byte) error {
	var n int64
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	d := time.Duration(n) * time.Millisecond
	if d.Milliseconds() != n {
		return fmt.Errorf("%d milliseconds are more than a duration can be", n)
	}
	*m = Millis(d)
	return nil
}

// Reply is what came of an execution. Failure is nil if and only if it went well.
type Reply struct {
	Data    json.RawMessage `json:"data,omitempty"` // what the executor returned, if anything
	Failure *Failure        `json:"failure,omitempty"`
	// Worker names the process that answers.
	Worker string `json:"worker,omitempty"`
	// RunMicros is how long the worker ran the execution, in microseconds; 0 if it
	// never began.
	RunMicros int64 `json:"run_us,omitempty"`
}

// Outcome is the one-word truth about an execution.
type Outcome string

// Outcomes.
const (
	OK    Outcome = "ok"
	Error Outcome = "error"
	// Unknown: the destination may or may not have carried it out.
	Unknown Outcome = "unknown"
)

// Outcome returns ok, error or unknown.
func (r Reply) Outcome() Outcome {
	switch {
	case r.Failure == nil:
		return OK
	case r.Failure.Unknown:
		return Unknown
	default:
		return Error
	}
}
