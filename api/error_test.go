package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/api/ledger"
	"patchbay.dev/api/sqlite"
	"patchbay.dev/shared/wire"
)

// Who asks what became of an execution asks by its id.
func TestLogTellsHowAnExecutionEnded(t *testing.T) {
	t.Parallel()
	unknown := wire.Reply{Failure: &wire.Failure{Unknown: true, ServiceMessage: "why"}}
	for _, test := range []struct {
		reply wire.Reply
		err   error
		want  string // "" for nothing at this level
	}{
		{wire.Reply{}, nil, ""},
		{unknown, nil, `level=WARN msg="execution has an unknown outcome" execution=e space=s connector=c type=.t detail=why`},
		{wire.Reply{}, dispatch.ErrBusy, `level=INFO msg="execution was not run" execution=e space=s connector=c type=.t detail="all workers were busy"`},
		{wire.Reply{}, context.Canceled, ""}, // by the thousand when a destination hangs; metrics and the log of executions have them
	} {
		var log bytes.Buffer
		s := &server{log: slog.New(slog.NewTextHandler(&log, nil))}
		s.record(&wire.Request{ExecutionID: "e", Space: "s", Connector: wire.Connector{ID: "c", Type: ".t"}}, test.reply, test.err)
		_, got, _ := strings.Cut(strings.TrimSpace(log.String()), " ") // after the time
		if got != test.want {
			t.Errorf("%+v, %v: %s, want %s", test.reply, test.err, got, test.want)
		}
	}
}

// What was not run is told so, also when it is the api that ends.
func TestNothingWasRunIs503(t *testing.T) {
	t.Parallel()
	for _, err := range []error{dispatch.ErrNoWorker, dispatch.ErrBusy, dispatch.ErrDisconnected, dispatch.ErrStopping} {
		p := problemAbout(fmt.Errorf("ask: %w", err), "")
		if p.status != http.StatusServiceUnavailable || p.retryAfter == 0 {
			t.Errorf("%v: %d, retry after %s, want 503 with Retry-After", err, p.status, p.retryAfter)
		}
	}
}

func TestErrorsOfTheLedgerAreAnswers(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]struct {
		status int
		wait   time.Duration
	}{
		ledger.ErrNotFound:  {http.StatusNotFound, 0},
		ledger.ErrExists:    {http.StatusConflict, 0},
		ledger.ErrKeyReused: {http.StatusUnprocessableEntity, 0},
		errStillRunning:     {http.StatusConflict, time.Second},
		ledger.ErrRunning:   {http.StatusConflict, time.Second},
		ledger.ErrNotDead:   {http.StatusConflict, 0},
		ledger.ErrNoParams:  {http.StatusConflict, 0},
		ledger.ErrToken:     {http.StatusBadRequest, 0},
		ledger.ErrDiskFull:  {http.StatusInsufficientStorage, 0},
		sqlite.ErrLocked:    {http.StatusServiceUnavailable, time.Second},
		errors.New("other"): {http.StatusInternalServerError, 0},
	} {
		p := problemAbout(fmt.Errorf("accept: %w", err), "a")
		if p.status != want.status || p.retryAfter != want.wait || p.message == "" {
			t.Errorf("%v: %+v, want %+v", err, p, want)
		}
	}
	for err, want := range map[error]string{
		ledger.ErrFull:          "There are as many executions queued as there may be. Nothing was run.",
		ledger.ErrConnectorFull: "There are as many executions of this connector queued as there may be. Nothing was run.",
	} {
		if p := queueFull(err, 1500*time.Millisecond); p.message != want || p.retryAfter != 2*time.Second || p.status != http.StatusTooManyRequests {
			t.Errorf("%v: %+v", err, p)
		}
	}
}
