package api

import (
	"context"
	"errors"
	"time"

	"github.com/labstack/echo/v4"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

// logExecution keeps how an execution ended that was answered at once. It is one call
// on the way of every execution, and waits for nothing.
func (s *server) logExecution(c echo.Context, r *wire.Request, attempt ledger.Attempt) {
	if s.config.LogOff {
		return
	}
	s.ledger.Log(ledger.Record{
		ID: r.ExecutionID, Space: r.Space, ConnectorID: r.Connector.ID, ConnectorName: r.Connector.Name, Type: r.Connector.Type,
		Attempt: attempt, Bytes: len(r.Params), TraceID: ledger.TraceID(c.Request().Header.Get("Traceparent")), Given: r.Given,
	})
}

// attemptOf tells of a request that was dispatched, or refused by dispatch, as the
// caller hears of it.
func attemptOf(r *wire.Request, started time.Time, reply wire.Reply, err error) ledger.Attempt {
	ended := time.Now()
	a := ledger.Attempt{
		Number: max(r.Attempt, 1), Last: true,
		DueAt: started, StartedAt: started, EndedAt: ended, Run: time.Duration(reply.RunMicros) * time.Microsecond,
		Outcome: reply.Outcome(), Failure: reply.Failure, Worker: reply.Worker,
	}
	a.Dispatch = max(0, ended.Sub(started)-a.Run)
	switch {
	case errors.Is(err, context.Canceled):
		a.Outcome = ledger.Cancelled
	case err != nil:
		p := problemAbout(err, r.Connector.ID)
		a.Outcome, a.Failure = wire.Error, &wire.Failure{Message: p.message, Source: wire.Framework}
		if p.retryAfter > 0 {
			a.Failure.Retry = wire.RetryLater()
		}
	}
	return a
}
