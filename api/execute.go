package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/nats-io/nats.go"

	"patchbay.dev/api/ledger"
	"patchbay.dev/api/queue"
	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/schema"
	"patchbay.dev/shared/wire"
)

// Headers of every answer to an execute; markExecution sets them first.
const (
	headerExecutionID = "Patchbay-Execution-Id"
	headerOutcome     = "Patchbay-Outcome" // ok, error or unknown
)

// resultSize is the room for what a result holds besides its data.
const resultSize = 128

// outcomes are the values of headerOutcome.
var outcomes = map[wire.Outcome][]string{
	wire.OK: {string(wire.OK)}, wire.Error: {string(wire.Error)}, wire.Unknown: {string(wire.Unknown)},
}

type executeBody struct {
	Params schema.Record `json:"params"`
}

// execution is what a request to execute says.
type execution struct {
	executeBody
	prefer preference
	key    string // idempotency key, "" for none
}

func (s *server) readExecute(c echo.Context) (execution, error) {
	var e execution
	header := c.Request().Header
	if given := header.Get(headerExecutionID); given != "" && !connectorID.MatchString(given) {
		return e, badRequest("[request headers.patchbay-execution-id]: 1 to 64 letters, digits, hyphens, underscores and dots are expected")
	}
	if strings.HasPrefix(header.Get(headerExecutionID), queue.SubmittedPrefix) {
		return e, badRequest("[request headers.patchbay-execution-id]: what begins with " + queue.SubmittedPrefix + " is the id of a submission")
	}
	var err error
	if e.key, err = readKeyHeader(header); err != nil {
		return e, err
	}
	e.prefer = parsePrefer(header[headerPrefer])
	err = s.readBody(c, &e.executeBody)
	return e, err
}

// execute runs a connector and answers with what came of it. Whatever a worker
// took in hand is a 200; but for the 202 of what is to be run later, other answers
// say that nothing was run.
func (s *server) execute(d dialect) func(echo.Context, execution) error {
	return func(c echo.Context, e execution) error {
		if e.prefer.async {
			return s.executeLater(c, d, e)
		}
		var reply wire.Reply
		var err error
		if e.key != "" {
			reply, err = s.runOnce(c, e)
		} else {
			reply, err = s.run(c, e.Params)
		}
		if err != nil {
			return err
		}
		return s.answer(c, d, reply)
	}
}

// answer answers with what came of an execution.
func (s *server) answer(c echo.Context, d dialect, reply wire.Reply) error {
	c.Response().Header()[headerOutcome] = outcomes[reply.Outcome()]
	if reply.Failure != nil {
		c.Set(failureKey, reply.Failure.Message)
		return writeJSON(c, http.StatusOK, d.failure(param(c, "id"), reply.Failure))
	}
	result := s.results.Get(len(reply.Data) + resultSize)
	if c.Request().ProtoMajor == 1 { // HTTP/2 may still look at what it was given to write
		defer s.results.Put(result)
	}
	*result = d.appendOK(*result, param(c, "id"), reply.Data)
	return writeBlob(c, http.StatusOK, *result)
}

// run has the connector that the path names run and returns what came of it.
func (s *server) run(c echo.Context, params schema.Record) (wire.Reply, error) {
	defer s.rotation.executing.enter()()
	request, err := s.request(c, params)
	if err != nil {
		return wire.Reply{}, err
	}
	request.ExecutionID = c.Response().Header().Get(headerExecutionID)
	request.Given = c.Request().Header.Get(headerExecutionID) != ""
	reply, attempt, err := s.ask(c, &request, s.config.ExecuteTimeout)
	s.logExecution(c, &request, attempt)
	return reply, err
}

// request returns what a worker is asked to run: the connector that the path names,
// as it is now.
func (s *server) request(c echo.Context, params schema.Record) (wire.Request, error) {
	connector, err := s.load(c.Request().Context(), space(c), param(c, "id"))
	return wire.Request{
		Space: space(c), Connector: connector, Access: callerOf(c).access(), Params: json.RawMessage(params),
	}, err
}

// ask has a request run that somebody waits for, and tells of it as an attempt.
func (s *server) ask(c echo.Context, request *wire.Request, timeout time.Duration) (wire.Reply, ledger.Attempt, error) {
	started := time.Now()
	reply, err := s.dispatch.Ask(c.Request().Context(), request, carried(traceContext(c.Request().Header)), timeout)
	s.record(request, reply, err)
	attempt := attemptOf(request, started, reply, err)
	s.metrics.executed(request.Connector.Type, reply.Outcome(), err, attempt.EndedAt.Sub(started))
	return reply, attempt, err
}

// record logs how an execution ended: by its id someone asks what became of it.
func (s *server) record(r *wire.Request, reply wire.Reply, err error) {
	level, message, detail := slog.LevelDebug, "execution ended", ""
	switch {
	case errors.Is(err, context.Canceled): // it may have been run all the same
		message = "caller left before the execution ended"
	case err != nil:
		level, message, detail = slog.LevelInfo, "execution was not run", err.Error()
	case reply.Outcome() == wire.Unknown:
		level, message, detail = slog.LevelWarn, "execution has an unknown outcome", reply.Failure.ServiceMessage
	}
	//nolint:sloglint // message is one of the constants above
	s.log.LogAttrs(context.Background(), level, message, slog.String("execution", r.ExecutionID), slog.String("space", r.Space),
		slog.String("connector", r.Connector.ID), slog.String("type", r.Connector.Type), slog.String("detail", detail))
}

// load returns a connector of a space as a worker gets it.
func (s *server) load(ctx context.Context, space, id string) (wire.Connector, error) {
	if p := s.preconfigured[id]; p != nil {
		return wire.Connector{
			ID: p.ID, Type: p.Type, Name: p.Name, Version: 1, Config: p.Config, Secrets: p.Secrets(), Preconfigured: true,
		}, nil
	}
	stored, err := s.store.Get(ctx, space, id)
	if err != nil {
		return wire.Connector{}, err
	}
	if _, err := connector.Find(stored.Type); err != nil {
		return wire.Connector{}, unknownType(stored.Type)
	}
	return wire.Connector{
		ID: stored.ID, Type: stored.Type, Name: stored.Name, Version: stored.Version,
		Config: stored.Config, Secrets: stored.Secrets,
	}, nil
}

// traceContext returns the W3C trace context of a request, "" for none.
func traceContext(h http.Header) (parent, state string) {
	if parent = h.Get("Traceparent"); parent != "" {
		state = strings.Join(h.Values("Tracestate"), ",") // may come in parts
	}
	return parent, state
}

// carried returns a trace context as NATS headers, which are case-sensitive: lower
// case, as the standard spells them. Nil without any.
func carried(parent, state string) nats.Header {
	if parent == "" {
		return nil
	}
	h := nats.Header{"traceparent": {parent}}
	if state != "" {
		h["tracestate"] = []string{state}
	}
	return h
}
