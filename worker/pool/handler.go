package pool

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
)

// Job is one execution as an executor sees it, decoded and checked.
type Job[C, S, P any] struct {
	ExecutionID string
	Given       bool // the caller chose the execution id: another job with it is this one run again
	Attempt     int  // counted from 1 if the execution is on record and its id its own; 0 if not
	Space       string
	ConnectorID string
	Name        string // the connector's
	Config      C
	Secrets     S
	Params      P
	Access      *wire.Access // what the caller may reach, nil for everything
}

// Execute runs a job and returns what goes into "data", nil for nothing.
//
// An error that is a *[wire.Failure] is answered as it stands; it must say
// Unknown if the destination may have carried the job out. Any other error
// becomes the service message of a generic failure that may be retried, as an
// exception does in Kibana; it says that nothing was carried out. [ErrBusy] says
// so too, and that the execution is another worker's. Execute must return soon
// after ctx ends.
type Execute[C, S, P any] func(ctx context.Context, job Job[C, S, P]) (json.RawMessage, error)

// Handler runs the executions of one connector type.
type Handler struct {
	typeID      string
	hasSecrets  bool
	wellFormed  bool                                // what it returns is, and need not be looked at
	destination func(config json.RawMessage) string // nil for none
	execute     func(ctx context.Context, req *wire.Request, secrets []byte, hosts connector.Hosts) (json.RawMessage, error)
	observe     func(End) // nil for nobody
}

// Type returns the id of the connector type, with its dot.
func (h Handler) Type() string { return h.typeID }

// To returns the handler of a type whose executions lead somewhere: destination
// names where, by the config as it is stored, and "" for nowhere. What it names
// shares the worker's slots with others; it must be quick.
func (h Handler) To(destination func(config json.RawMessage) string) Handler {
	h.destination = destination
	return h
}

// WellFormed returns the handler of a type whose executor returns nothing that is
// not [wire.WellFormed]: the pool looks through what others return, since nobody does
// after it.
func (h Handler) WellFormed() Handler {
	h.wellFormed = true
	return h
}

// destinationOf names where an execution leads, apart from what other types name.
func (h Handler) destinationOf(req *wire.Request) string {
	if h.destination == nil {
		return ""
	}
	name := h.destination(req.Connector.Config)
	if name == "" {
		return ""
	}
	return h.typeID + " " + name
}

// Handle pairs a connector type with its executor.
func Handle[C, S, P any](t connector.Type[C, S, P], execute Execute[C, S, P]) Handler {
	return Handler{typeID: t.ID, hasSecrets: t.HasSecrets(), execute: func(ctx context.Context, req *wire.Request, opened []byte, hosts connector.Hosts) (json.RawMessage, error) {
		// Kibana's order: params, config, secrets, both together.
		params, err := t.Params(req.Params)
		if err != nil {
			return nil, invalid(err, wire.User)
		}
		config, secrets, err := t.Connector(req.Connector.Config, opened, hosts)
		if err != nil {
			return nil, invalid(err, wire.Framework)
		}
		return execute(ctx, Job[C, S, P]{
			ExecutionID: req.ExecutionID,
			Given:       req.Given,
			Attempt:     req.Attempt,
			Space:       req.Space,
			ConnectorID: req.Connector.ID,
			Name:        req.Connector.Name,
			Config:      config,
			Secrets:     secrets,
			Params:      params,
			Access:      req.Access,
		})
	}}
}

// sealed is the answer when secrets or params cannot be opened. Kibana answers 500 there.
func sealed(err error) *wire.Failure {
	return &wire.Failure{Message: thrownMessage, ServiceMessage: err.Error(), Retry: wire.RetryNever(), Source: wire.Framework}
}

var errPanicked = &wire.Failure{
	Message:        thrownMessage,
	ServiceMessage: "the executor panicked, and it may have been carried out; the worker's log has the details",
	Retry:          wire.RetryNever(),
	Source:         wire.Framework,
	Unknown:        true,
}

const thrownMessage = "an error occurred while running the action"

// maxText is the most that a caller and the log get to read of what a
// destination said, in bytes.
const maxText = 16 << 10

// failureOf turns what an executor returned into what the caller reads.
func failureOf(err error) *wire.Failure {
	f, ok := errors.AsType[*wire.Failure](err)
	if !ok {
		f = thrown(err)
	}
	short := *f
	short.Message, short.ServiceMessage = shortened(f.Message), shortened(f.ServiceMessage)
	return &short
}

func shortened(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

// thrown is Kibana's answer when an executor throws.
func thrown(err error) *wire.Failure {
	return &wire.Failure{
		Message:        thrownMessage,
		ServiceMessage: err.Error(),
		Retry:          wire.RetryLater(),
		Source:         wire.Framework,
	}
}

// invalid is Kibana's answer when params or the stored connector do not conform.
func invalid(err error, source wire.Source) *wire.Failure {
	return &wire.Failure{Message: err.Error(), Retry: wire.RetryNever(), Source: source}
}

// lost is the answer when the executor's own cannot be sent.
func lost(err error) *wire.Failure {
	return &wire.Failure{
		Message:        thrownMessage,
		ServiceMessage: "it was carried out, but what came of it cannot be told: " + err.Error(),
		Retry:          wire.RetryNever(),
		Source:         wire.Framework,
		Unknown:        true,
	}
}
