package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
)

// Headers of executions that are kept.
const (
	headerPrefer   = "Prefer"
	headerApplied  = "Preference-Applied"
	headerReplayed = "Patchbay-Idempotent-Replayed" // the answer is that of an execution from before
)

// acceptedBody answers who does not wait for the execution itself.
type acceptedBody struct {
	ExecutionID string       `json:"execution_id"`
	ConnectorID string       `json:"connector_id"`
	Status      ledger.State `json:"status"`
	Durability  string       `json:"durability"` // what survives: the loss of what is not this
}

// durability is where an execution is when its acceptance is answered.
const durability = "disk"

// executeLater queues an execution and answers that it did; or, if the caller wants
// to wait and it ends in time, with what came of it.
func (s *server) executeLater(c echo.Context, d dialect, e execution) error {
	ctx := c.Request().Context()
	accepted, err := s.accept(c, e)
	if err != nil {
		if !errors.Is(err, context.Canceled) { // he has left
			s.metrics.refused(byRequest, problemAbout(err, "").status)
		}
		return err
	}
	s.metrics.accepted(byRequest, accepted.Known)
	release(c)
	found := &accepted.Execution
	e.prefer.wait = min(e.prefer.wait, s.config.ExecuteTimeout)
	header := c.Response().Header()
	header.Set(headerExecutionID, found.ID)
	header.Set(headerApplied, e.prefer.applied())
	if accepted.Known {
		header.Set(headerReplayed, "true")
	}
	if e.prefer.wait > 0 {
		// It is accepted, whatever becomes of the wait: an error must not say that it is not.
		if now, err := s.awaitEnd(ctx, found, time.Now().Add(e.prefer.wait)); err == nil {
			found = now
		}
	}
	if ended(found) {
		reply, err := s.ledger.Answer(ctx, found)
		if err == nil {
			return s.answer(c, d, reply)
		}
		if found = &accepted.Execution; ended(found) { // long ago
			return err
		}
	}
	return s.answerAccepted(c, found)
}

// accept queues an execution.
func (s *server) accept(c echo.Context, e execution) (ledger.Acceptance, error) {
	ctx := c.Request().Context()
	submission, err := s.submission(ctx, originOf(c), param(c, "id"), e.Params, e.key)
	if err != nil {
		return ledger.Acceptance{}, err
	}
	submission.ID = c.Response().Header().Get(headerExecutionID)
	accepted, err := s.ledger.Accept(ctx, []ledger.Submission{submission})
	if err != nil {
		return ledger.Acceptance{}, err
	}
	return accepted[0], s.refusal(accepted[0].Err)
}

// answerAccepted tells that an execution will be run.
func (s *server) answerAccepted(c echo.Context, e *ledger.Execution) error {
	header := c.Response().Header()
	delete(header, headerOutcome)
	location := "/api/actions/executions/" + e.ID
	if id := param(c, "space_id"); id != "" {
		location = "/s/" + id + location
	}
	header.Set("Location", location)
	return writeJSON(c, http.StatusAccepted, acceptedBody{e.ID, e.ConnectorID, e.State, durability})
}

// ended reports whether nothing more is done for an execution.
func ended(e *ledger.Execution) bool { return e.State == ledger.Done || e.State == ledger.Dead }

// awaitEnd waits until an execution has ended, until the deadline, or until the
// server stops, and returns it as it then is.
func (s *server) awaitEnd(ctx context.Context, e *ledger.Execution, deadline time.Time) (*ledger.Execution, error) {
	over, stop := s.ledger.Watch(e.Space, e.ID)
	defer stop()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for waiting := true; ; {
		now, _, err := s.ledger.Get(ctx, e.Space, e.ID)
		if err != nil || ended(&now) || !waiting {
			return &now, err
		}
		waiting = false // it is looked at once more
		select {
		case <-over:
		case <-timer.C:
		case <-s.stopping:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// origin is where a submission comes from.
type origin struct {
	space         string
	access        *wire.Access
	parent, state string // W3C trace context, "" for none
}

func originOf(c echo.Context) origin {
	o := origin{space: space(c), access: callerOf(c).access()}
	o.parent, o.state = traceContext(c.Request().Header)
	return o
}

// submission tells the ledger of an execution that somebody asks for. Its id is yet to be
// set. With a *[connector.Invalid], which says that it can never succeed, it is
// complete all the same.
func (s *server) submission(ctx context.Context, o origin, connectorID string, params []byte, key string) (ledger.Submission, error) {
	found, err := s.load(ctx, o.space, connectorID)
	if err != nil {
		return ledger.Submission{}, err
	}
	definition, err := connector.Find(found.Type)
	if err != nil {
		return ledger.Submission{}, unknownType(found.Type)
	}
	policy, err := definition.Policy(params)
	if policy.Attempts == 0 {
		policy.Attempts = s.config.Attempts
	}
	return ledger.Submission{
		Space: o.space, ConnectorID: found.ID, ConnectorName: found.Name, Type: found.Type,
		Key: key, Fingerprint: fingerprint(found.ID, o.access, params), MaxAttempts: policy.Attempts, Safe: policy.Safe, Settle: policy.Settle,
		Params: params, Access: o.access, Traceparent: o.parent, Tracestate: o.state,
	}, err
}

// refusal is the answer to a submission that was not accepted.
func (s *server) refusal(err error) error {
	if errors.Is(err, ledger.ErrRunning) { // for somebody who waits for it: nothing queues it
		return errStillRunning
	}
	if !errors.Is(err, ledger.ErrFull) && !errors.Is(err, ledger.ErrConnectorFull) {
		return err
	}
	// The time in which a hundredth of it has ended: who comes back then finds room,
	// and so do many others.
	return queueFull(err, s.ledger.DrainTime(s.ledger.Stats().Queued/100+1))
}
