package api

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
)

const headerKey = "Idempotency-Key"

// errStillRunning says that an execution from before, which the caller asks for, has
// not ended in time.
var errStillRunning = errors.New("the execution with the idempotency key has not ended")

// isKey reports whether key can be an idempotency key: 1 to 255 printable ASCII signs.
func isKey(key string) bool {
	return key != "" && len(key) <= 255 && !strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' })
}

const keyRule = "1 to 255 printable ASCII characters are expected"

// readKeyHeader returns the idempotency key of a request, "" for none. The draft of
// the header quotes it, most clients do not.
func readKeyHeader(h http.Header) (string, error) {
	values := h[headerKey]
	if values == nil {
		return "", nil
	}
	key := unquote(trimSpace(values[0]))
	if len(values) > 1 || !isKey(key) {
		return "", badRequest("[request headers.idempotency-key]: " + keyRule)
	}
	return key, nil
}

// fingerprint tells requests with the same key apart. White space counts: it is the
// bytes of the params that are compared, as they were sent. So does what the caller may
// reach: nobody gets the answer, or the refusal, that is someone else's.
func fingerprint(connectorID string, reach *wire.Access, params []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	_, _ = h.Write([]byte(connectorID)) // a hash takes everything
	_, _ = h.Write([]byte{0})           // stands in no id and no pattern
	if reach != nil {
		for _, pattern := range slices.Sorted(slices.Values(reach.Indices)) {
			_, _ = h.Write([]byte(pattern))
			_, _ = h.Write([]byte{0})
		}
		_, _ = h.Write([]byte("limited"))
	}
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(params)
	return [sha256.Size]byte(h.Sum(sum[:0]))
}

// runOnce runs an execution with an idempotency key, unless one with the same key
// and params was run or is under way: then its answer is the answer, too.
func (s *server) runOnce(c echo.Context, e execution) (wire.Reply, error) {
	ctx := c.Request().Context()
	submission, err := s.submission(ctx, originOf(c), param(c, "id"), e.Params, e.key)
	if _, invalid := errors.AsType[*connector.Invalid](err); err != nil && !invalid { // the worker says what is wrong with params
		return wire.Reply{}, err
	}
	header := c.Response().Header()
	submission.ID = header.Get(headerExecutionID)
	for deadline := time.Now().Add(s.config.ExecuteTimeout); ; {
		begun, err := s.ledger.Begin(ctx, submission)
		if err == nil {
			err = s.refusal(begun.Err)
		}
		if err != nil {
			return wire.Reply{}, err
		}
		header.Set(headerExecutionID, begun.Execution.ID)
		if !begun.Known {
			header.Del(headerReplayed)
			return s.runBegun(c, e, &begun.Execution, deadline)
		}
		header.Set(headerReplayed, "true")
		found, err := s.awaitEnd(ctx, &begun.Execution, deadline)
		switch {
		case err != nil:
			return wire.Reply{}, err
		case !ended(found):
			return wire.Reply{}, errStillRunning
		case ended(&begun.Execution) || !left(found):
			return s.ledger.Answer(ctx, found)
		}
		// Whom we waited for had it begun and gave it up: now it is our turn.
	}
}

// left reports whether an execution that somebody waited for has ended without being
// run to its end: he has left, or no worker took it.
func left(e *ledger.Execution) bool {
	return !e.Durable && e.State == ledger.Done && (e.Outcome == ledger.Cancelled || e.Outcome == wire.Error && e.Attempt.Worker == "")
}

// runBegun runs an execution that the ledger has on record as running.
func (s *server) runBegun(c echo.Context, e execution, begun *ledger.Execution, deadline time.Time) (wire.Reply, error) {
	defer s.rotation.executing.enter()()
	ending := ledger.Ending{Seq: begun.Seq, State: ledger.Done}
	request, err := s.request(c, e.Params)
	var reply wire.Reply
	if err != nil {
		ending.Attempt = attemptOf(&request, time.Now(), reply, err)
	} else {
		request.ExecutionID, request.Given, request.Attempt = begun.ID, true, begun.Attempt.Number
		reply, ending.Attempt, err = s.ask(c, &request, time.Until(deadline)) // some of it may be spent with waiting
	}
	ending.Attempt.Number = begun.Attempt.Number
	ending.Data = reply.Data
	ending.NotRun = err != nil && ending.Attempt.Outcome != ledger.Cancelled
	s.finisher.end(ending)
	return reply, err
}
