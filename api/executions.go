package api

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"patchbay.dev/api/ledger"
)

// executionList is one page of executions.
type executionList struct {
	Executions []executionBody `json:"executions"`
	NextPage   string          `json:"next_page,omitempty"`
}

// listExecutions answers with executions of the space, one page.
func (s *server) listExecutions(c echo.Context, asked listQuery) error {
	page, err := s.ledger.List(c.Request().Context(), asked.filter(space(c)), asked.order(), asked.size(), asked.Page)
	if err != nil {
		return err
	}
	list := executionList{Executions: make([]executionBody, len(page.Executions)), NextPage: page.Next}
	for i := range page.Executions {
		list.Executions[i] = presentExecution(&page.Executions[i])
	}
	return writeJSON(c, http.StatusOK, list)
}

// getExecution answers with one execution, its attempts, and what its caller was or
// would have been answered.
func (s *server) getExecution(c echo.Context) error {
	ctx := c.Request().Context()
	e, attempts, err := s.ledger.Get(ctx, space(c), param(c, "id"))
	if err != nil {
		return err
	}
	body := oneExecutionBody{executionBody: presentExecution(&e), Attempts: make([]attemptBody, len(attempts))}
	for i := range attempts {
		body.Attempts[i] = presentAttempt(&attempts[i])
	}
	if ended(&e) && e.Outcome != "" && e.Outcome != ledger.Cancelled {
		reply, err := s.ledger.Answer(ctx, &e)
		if err != nil {
			return err
		}
		body.Result = presentResult(e.ConnectorID, reply)
	}
	return writeJSON(c, http.StatusOK, body)
}

// discardExecution ends an execution for good. One that has ended well is left as it
// is.
func (s *server) discardExecution(c echo.Context) error {
	if err := s.ledger.Discard(c.Request().Context(), space(c), param(c, "id")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// replayExecution queues a dead letter again.
func (s *server) replayExecution(c echo.Context) error {
	e, err := s.ledger.ReplayOne(c.Request().Context(), space(c), param(c, "id"), callerOf(c).access())
	if err != nil {
		return s.refusal(err)
	}
	return s.answerAccepted(c, &e)
}

// replayedBody tells what a replay by filter did, or would do.
type replayedBody struct {
	Replayed  int  `json:"replayed"`
	Skipped   int  `json:"skipped"` // whose params were not kept
	DryRun    bool `json:"dry_run"`
	QueueFull bool `json:"queue_full,omitempty"` // there was no room for more
}

// replayExecutions queues the dead letters of the space again that a filter selects.
func (s *server) replayExecutions(c echo.Context, asked replayAsked) error {
	replayed, skipped, err := s.ledger.Replay(c.Request().Context(), asked.filter(space(c)), asked.rate, asked.DryRun, callerOf(c).access())
	full := errors.Is(err, ledger.ErrFull) || errors.Is(err, ledger.ErrConnectorFull)
	if err != nil && !(full && replayed > 0) {
		return s.refusal(err)
	}
	return writeJSON(c, http.StatusOK, replayedBody{replayed, skipped, asked.DryRun, full})
}

// size returns how many executions a page holds.
func (q *listQuery) size() int {
	const usual = 20
	if q.PerPage == nil {
		return usual
	}
	n, _ := strconv.Atoi(string(*q.PerPage)) // it was checked
	return n
}
