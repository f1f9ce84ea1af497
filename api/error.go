package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/api/ledger"
	"patchbay.dev/api/sqlite"
	"patchbay.dev/api/store"
	"patchbay.dev/shared/connector"
)

// problem is an answer that is not a success. Only this file makes one.
type problem struct {
	status     int
	message    string
	retryAfter time.Duration // 0 for no header
}

func (p *problem) Error() string { return p.message }

// errorBody is Kibana's error envelope.
type errorBody struct {
	StatusCode int    `json:"statusCode"`
	Error      string `json:"error"` // reason phrase of the status
	Message    string `json:"message"`
}

// retryAfter is what a client is told to wait when no worker could take an
// execution: long enough for a worker to start.
const retryAfter = time.Second

// handleError is the one place where a Go error becomes an HTTP answer.
func (s *server) handleError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	if isGone(c, err) {
		// An answer that says nothing would be worse than none.
		panic(http.ErrAbortHandler)
	}
	if isBulk(c) && c.Request().ProtoMajor == 1 {
		c.Response().Header().Set("Connection", "close") // the rest of the stream is not read
	}
	p := problemOf(err, c)
	if p.status == http.StatusInternalServerError {
		s.log.Error("request failed", "method", c.Request().Method, "path", c.Path(), "error", err)
	}
	if p.status == http.StatusUnauthorized {
		// Not Basic, though it is taken: a browser would ask for a password, and then
		// send it along with what other pages ask for.
		c.Response().Header().Set("WWW-Authenticate", "ApiKey")
	}
	if p.retryAfter > 0 {
		c.Response().Header().Set("Retry-After", strconv.Itoa(int(p.retryAfter/time.Second)))
	}
	if err := writeJSON(c, p.status, errorBody{p.status, http.StatusText(p.status), p.message}); err != nil {
		s.log.Debug("answer could not be written", "error", err)
	}
}

func problemOf(err error, c echo.Context) *problem { return problemAbout(err, param(c, "id")) }

// problemAbout is the table from errors to answers; id is that of the connector.
func problemAbout(err error, id string) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok { // the router: 404 and 405
		return &problem{status: e.Code, message: http.StatusText(e.Code)}
	}
	if e, ok := errors.AsType[*connector.Invalid](err); ok {
		return badRequest(e.Error())
	}
	if e, ok := errors.AsType[*dispatch.TooLargeError](err); ok {
		return &problem{status: http.StatusRequestEntityTooLarge, message: fmt.Sprintf(
			"The execution is too large for the broker: %d bytes with its connector, and max_payload is %d. Nothing was run.", e.Size, e.Limit)}
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &problem{status: http.StatusNotFound, message: "Saved object [action/" + id + "] not found"}
	case errors.Is(err, store.ErrConflict):
		return &problem{status: http.StatusConflict, message: "Saved object [action/" + id + "] conflict"}
	case errors.Is(err, store.ErrNoKey):
		return &problem{status: http.StatusNotFound, message: "There is no such API key."}
	case errors.Is(err, store.ErrKeysFull):
		return badRequest("There are as many API keys as there may be; revoke some or raise PATCHBAY_MAX_KEYS.")
	case errors.Is(err, errNoKey), errors.Is(err, errKeyFile):
		return &problem{status: http.StatusInternalServerError, message: "The server is not set up for this: " + err.Error() + "."}
	case errors.Is(err, errRotating): // Kibana's words and status
		return tooMany("Encryption key rotation is in progress already.", retryAfter)
	case errors.Is(err, errRotationCut):
		return unavailable("The api is stopping. What was sealed anew stays so; rotate again for the rest.")
	case errors.Is(err, store.ErrFull):
		return badRequest("This space holds as many connectors as it may; delete some or raise PATCHBAY_MAX_CONNECTORS.")
	case errors.Is(err, store.ErrNoSpace):
		return &problem{status: http.StatusNotFound, message: "Not Found"}
	case errors.Is(err, store.ErrManySpaces):
		return badRequest("Unable to create Space, this exceeds the maximum number of spaces set by the PATCHBAY_MAX_SPACES setting")
	case errors.Is(err, dispatch.ErrNoWorker):
		return unavailable("No worker is running for this connector type. Nothing was run.")
	case errors.Is(err, dispatch.ErrBusy):
		return unavailable("All workers for this connector type were busy until the time limit. Nothing was run.")
	case errors.Is(err, dispatch.ErrStopping):
		return unavailable("The api is stopping. Nothing was run.")
	case errors.Is(err, dispatch.ErrDisconnected):
		return unavailable("The broker cannot be reached. Nothing was run.")
	default:
		return problemOfLedger(err)
	}
}

// problemOfLedger is the part of the table that is about executions that are kept.
func problemOfLedger(err error) *problem {
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return &problem{status: http.StatusNotFound, message: "There is no such execution in this space."}
	case errors.Is(err, ledger.ErrExists):
		return &problem{status: http.StatusConflict, message: "There is an execution with this id. Nothing was run."}
	case errors.Is(err, ledger.ErrKeyReused):
		return &problem{status: http.StatusUnprocessableEntity,
			message: "The Idempotency-Key was used for this connector with other params, or by a caller with another reach. Nothing was run."}
	case errors.Is(err, errStillRunning):
		return &problem{status: http.StatusConflict, retryAfter: retryAfter,
			message: "The execution with this Idempotency-Key has not ended yet. Ask again for its answer."}
	case errors.Is(err, ledger.ErrRunning):
		return &problem{status: http.StatusConflict, message: "The execution is running. What runs cannot be discarded.", retryAfter: retryAfter}
	case errors.Is(err, ledger.ErrNotDead):
		return &problem{status: http.StatusConflict, message: "The execution is no dead letter."}
	case errors.Is(err, ledger.ErrNoParams):
		return &problem{status: http.StatusConflict, message: "The params of the execution were not kept, so it cannot be replayed."}
	case errors.Is(err, ledger.ErrToken):
		return badRequest("[request query.page]: it is not the page of a list that is sorted like this one")
	case errors.Is(err, sqlite.ErrLocked):
		return unavailable("The database of executions is locked by another process. Nothing was run.")
	case errors.Is(err, ledger.ErrDiskFull):
		return &problem{status: http.StatusInsufficientStorage, message: "The disk is full: nothing can be kept. Nothing was run."}
	default:
		return &problem{status: http.StatusInternalServerError,
			message: "An internal server error occurred. Check the server's log for details."}
	}
}

// queueFull refuses what the queue has no room for.
func queueFull(err error, wait time.Duration) *problem {
	if errors.Is(err, ledger.ErrConnectorFull) {
		return tooMany("There are as many executions of this connector queued as there may be. Nothing was run.", wait)
	}
	return tooMany("There are as many executions queued as there may be. Nothing was run.", wait)
}

func badRequest(message string) *problem {
	return &problem{status: http.StatusBadRequest, message: message}
}

func unauthorized(message string) *problem {
	return &problem{status: http.StatusUnauthorized, message: message}
}

func unavailable(message string) *problem {
	return &problem{status: http.StatusServiceUnavailable, message: message, retryAfter: retryAfter}
}

// Refusals in Kibana 8.19's words.

func unknownType(id string) *problem {
	return badRequest(fmt.Sprintf("Action type %q is not registered.", id))
}

func createsPreconfigured(id string) *problem {
	return badRequest("This " + id + " already exists in a preconfigured action.")
}

func updatesPreconfigured(id string) *problem {
	return badRequest("Preconfigured action " + id + " can not be updated.")
}

func deletesPreconfigured(id string) *problem {
	return badRequest("Preconfigured action " + id + " is not allowed to delete.")
}

func spaceExists(id string) *problem {
	return &problem{status: http.StatusConflict, message: "A space with the identifier " + id + " already exists."}
}

func deletesReserved(id string) *problem {
	return badRequest("The " + id + " space cannot be deleted because it is reserved.")
}
