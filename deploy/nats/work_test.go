package nats_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/pool"
)

func done(context.Context) (json.RawMessage, error) { return json.RawMessage(`"done"`), nil }

func TestWorkersOfAllAndOfOneTypeDoTheirWork(t *testing.T) {
	t.Parallel()
	for user, handlers := range map[string][]pool.Handler{
		"worker":            {serverLog(done), index(done)},
		"worker-server-log": {serverLog(done)},
		"worker-index":      {index(done)},
	} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			b.pool(t, user, 4, handlers...)
			d := b.dispatcher(t)
			if err := d.Check(allTypes()); err != nil {
				t.Errorf("Check: %v", err)
			}
			if mute := d.Mute(t.Context(), allTypes()); len(mute) > 0 {
				t.Errorf("mute: %q", mute)
			}
			served := map[string]bool{}
			for _, h := range handlers {
				served[h.Type()] = true
			}
			for _, typeID := range allTypes() {
				reply, err := d.Ask(t.Context(), request(typeID), nil, patience)
				if served[typeID] && (err != nil || string(reply.Data) != `"done"`) {
					t.Errorf("%s: %+v, %v, want it done", typeID, reply, err)
				}
				if !served[typeID] && !errors.Is(err, dispatch.ErrNoWorker) {
					t.Errorf("%s: %+v, %v, want %v", typeID, reply, err, dispatch.ErrNoWorker)
				}
			}
		})
	}
}

func TestBusyWorkerMaySaySo(t *testing.T) {
	t.Parallel()
	b := start(t)
	started, release := make(chan struct{}), make(chan struct{})
	b.pool(t, "worker-server-log", 1, serverLog(func(context.Context) (json.RawMessage, error) {
		close(started)
		<-release
		return nil, nil
	}))
	d := b.dispatcher(t)
	first := make(chan error, 1)
	go func() {
		_, err := d.Ask(t.Context(), request(".server-log"), nil, patience)
		first <- err
	}()
	<-started
	if _, err := d.Ask(t.Context(), request(".server-log"), nil, 100*time.Millisecond); !errors.Is(err, dispatch.ErrBusy) {
		t.Errorf("second of one slot: %v, want %v", err, dispatch.ErrBusy)
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("first: %v", err)
	}
}

// Longer than the silence after which a worker is given up.
func TestLongJobIsHeardOfAndAnswered(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.pool(t, "worker-server-log", 1, serverLog(func(ctx context.Context) (json.RawMessage, error) {
		select {
		case <-time.After(wire.FirstHeartbeat + (wire.MissedHeartbeats+1)*wire.HeartbeatInterval):
		case <-ctx.Done():
		}
		return json.RawMessage(`"late"`), ctx.Err()
	}))
	reply, err := b.dispatcher(t).Ask(t.Context(), request(".server-log"), nil, time.Minute)
	if err != nil || string(reply.Data) != `"late"` {
		t.Errorf("Ask: %+v, %v, want the answer", reply, err)
	}
}

func TestCallerWhoLeavesEndsTheJob(t *testing.T) {
	t.Parallel()
	b := start(t)
	started, cause := make(chan struct{}), make(chan error, 1)
	b.pool(t, "worker-server-log", 1, serverLog(func(ctx context.Context) (json.RawMessage, error) {
		close(started)
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return nil, ctx.Err()
	}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	if _, err := b.dispatcher(t).Ask(ctx, request(".server-log"), nil, patience); !errors.Is(err, context.Canceled) {
		t.Errorf("Ask: %v, want %v", err, context.Canceled)
	}
	if got := <-cause; !errors.Is(got, pool.ErrAbandoned) {
		t.Errorf("the job ended because %v, want %v", got, pool.ErrAbandoned)
	}
}
