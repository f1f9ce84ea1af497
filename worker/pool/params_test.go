package pool_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/pool"
	"patchbay.dev/worker/pool/pooltest"
)

func TestJobHasTheAttemptOfItsRequest(t *testing.T) {
	t.Parallel()
	jobs := make(chan job, 1)
	b := setup(t, pool.Options{Slots: 1}, func(_ context.Context, j job) (json.RawMessage, error) {
		jobs <- j
		return nil, nil
	})
	for body, want := range map[string]int{``: 0, `,"attempt":1`: 1, `,"attempt":3`: 3} {
		if diff := cmp.Diff(wire.Reply{}, final(t, b.sendRaw(t, withAccess(body)))); diff != "" {
			t.Fatalf("%s: reply (-want +got):\n%s", body, diff)
		}
		if got := (<-jobs).Attempt; got != want {
			t.Errorf("%s: attempt %d, want %d", body, got, want)
		}
	}
}

type logJob = pool.Job[connector.None, connector.None, connector.ServerLogParams]

// Params that were sealed are checked like any others.
func TestSealedParamsAreOpenedAndChecked(t *testing.T) {
	t.Parallel()
	broker := pooltest.Broker(t)
	seen := make(chan logJob, 1)
	handler := pool.Handle(connector.ServerLog, func(_ context.Context, j logJob) (json.RawMessage, error) {
		seen <- j
		return nil, nil
	})
	p, err := pool.Start(pooltest.Connect(t, broker), []pool.Handler{handler}, pool.Options{
		Slots: 1, Grace: patience,
		OpenParams: func(req *wire.Request) ([]byte, error) {
			if string(req.SealedParams) == "locked" {
				return nil, errors.New("no key for execution " + req.ExecutionID)
			}
			return req.SealedParams, nil
		},
	}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	nc := pooltest.Connect(t, broker)
	refused := func(source wire.Source, message, service string) *wire.Failure {
		return &wire.Failure{Message: message, ServiceMessage: service, Retry: wire.RetryNever(), Source: source}
	}
	for params, want := range map[string]*wire.Failure{
		`{"message":"m"}`: nil,
		`locked`:          refused(wire.Framework, "an error occurred while running the action", "no key for execution e"),
		`{"message":1}`:   refused(wire.User, "error validating action params: [message]: expected value of type [string] but got [number]", ""),
		`{"message":"m`:   refused(wire.User, "error validating action params: unexpected end of JSON input (byte 13)", ""),
	} {
		r := wire.Request{ExecutionID: "e", Connector: wire.Connector{Type: ".server-log", Config: json.RawMessage(`{}`)},
			TimeLeft: wire.Millis(patience), SealedParams: []byte(params)}
		msg, err := nc.Request("patchbay.v1.execute.server-log", r.Append(nil), patience)
		if err != nil {
			t.Fatalf("%s: %v", params, err)
		}
		reply, err := wire.DecodeReply(msg.Data)
		if err != nil {
			t.Fatalf("%s: %v", params, err)
		}
		if diff := cmp.Diff(want, reply.Failure, cmp.AllowUnexported(wire.Retry{})); diff != "" {
			t.Errorf("%s: failure (-want +got):\n%s", params, diff)
		}
		if want == nil {
			if diff := cmp.Diff(connector.ServerLogParams{Message: "m", Level: "info"}, (<-seen).Params); diff != "" {
				t.Errorf("params (-want +got):\n%s", diff)
			}
		}
	}
	if len(seen) > 0 {
		t.Errorf("the executor saw %+v", <-seen)
	}
}
