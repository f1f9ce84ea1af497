package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/nats-io/nats.go"

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

func (s *server) readExecute(c echo.Context) (executeBody, error) {
	var body executeBody
	if given := c.Request().Header.Get(headerExecutionID); given != "" && !connectorID.MatchString(given) {
		return body, badRequest("[request headers.patchbay-execution-id]: 1 to 64 letters, digits, hyphens, underscores and dots are expected")
	}
	err := s.readBody(c, &body)
	return body, err
}

// execute runs a connector and answers with what came of it. Whatever a worker
// took in hand is a 200; other answers say that nothing was run.
func (s *server) execute(d dialect) func(echo.Context, executeBody) error {
	return func(c echo.Context, body executeBody) error {
		reply, err := s.run(c, body.Params)
		if err != nil {
			return err
		}
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
}

// run has the connector that the path names run and returns what came of it.
func (s *server) run(c echo.Context, params schema.Record) (wire.Reply, error) {
	defer s.rotation.executing.enter()()
	request, err := s.load(c)
	if err != nil {
		return wire.Reply{}, err
	}
	request.ExecutionID = c.Response().Header().Get(headerExecutionID)
	request.Given = c.Request().Header.Get(headerExecutionID) != ""
	request.Space = space(c)
	request.Access = callerOf(c).access()
	request.Params = json.RawMessage(params)
	reply, err := s.dispatch.Ask(c.Request().Context(), &request, traceContext(c.Request().Header), s.config.ExecuteTimeout)
	s.record(&request, reply, err)
	return reply, err
}

// record logs how an execution ended: by its id someone asks what became of it.
func (s *server) record(r *wire.Request, reply wire.Reply, err error) {
	level, message, detail := slog.LevelDebug, "execution ended", ""
	switch {
	case errors.Is(err, context.Canceled): // it may have been run all the same
		level, message = slog.LevelInfo, "caller left before the execution ended"
	case err != nil:
		level, message, detail = slog.LevelInfo, "execution was not run", err.Error()
	case reply.Outcome() == wire.Unknown:
		level, message, detail = slog.LevelWarn, "execution has an unknown outcome", reply.Failure.ServiceMessage
	}
	//nolint:sloglint // message is one of the constants above
	s.log.LogAttrs(context.Background(), level, message, slog.String("execution", r.ExecutionID), slog.String("space", r.Space),
		slog.String("connector", r.Connector.ID), slog.String("type", r.Connector.Type), slog.String("detail", detail))
}

// load returns a request for the connector that the path names.
func (s *server) load(c echo.Context) (wire.Request, error) {
	id := param(c, "id")
	if p := s.preconfigured[id]; p != nil {
		return wire.Request{Connector: wire.Connector{
			ID: p.ID, Type: p.Type, Name: p.Name, Version: 1, Config: p.Config, Secrets: p.Secrets(), Preconfigured: true,
		}}, nil
	}
	stored, err := s.store.Get(c.Request().Context(), space(c), id)
	if err != nil {
		return wire.Request{}, err
	}
	if _, err := connector.Find(stored.Type); err != nil {
		return wire.Request{}, unknownType(stored.Type)
	}
	return wire.Request{Connector: wire.Connector{
		ID: stored.ID, Type: stored.Type, Name: stored.Name, Version: stored.Version,
		Config: stored.Config, Secrets: stored.Secrets,
	}}, nil
}

// traceContext returns the W3C trace context of a request as NATS headers, which
// are case-sensitive: lower case, as the standard spells them. Nil without any.
func traceContext(h http.Header) nats.Header {
	parent := h.Get("Traceparent")
	if parent == "" {
		return nil
	}
	carried := nats.Header{"traceparent": {parent}}
	if states := h.Values("Tracestate"); len(states) > 0 { // may come in parts
		carried["tracestate"] = []string{strings.Join(states, ",")}
	}
	return carried
}
