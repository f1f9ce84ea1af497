package pool_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/pool"
	"patchbay.dev/worker/pool/pooltest"
)

// sendFrom publishes a request of a connector.
func (b *bundle) sendFrom(t *testing.T, id string) *nats.Subscription {
	t.Helper()
	body, err := json.Marshal(wire.Request{
		Connector: wire.Connector{ID: id, Type: ".probe", Config: json.RawMessage(`{}`)},
		TimeLeft:  wire.Millis(patience),
		Params:    json.RawMessage(`{}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.sendRaw(t, body)
}

// setupHanging runs executions of the connector "hanging" until release is closed;
// started hears of each. Others are done at once.
func setupHanging(t *testing.T, options pool.Options, destination func(json.RawMessage) string) (b *bundle, started, release chan struct{}) {
	t.Helper()
	started, release = make(chan struct{}, options.Slots), make(chan struct{})
	broker := pooltest.Broker(t)
	options.Grace = patience
	p, err := pool.Start(pooltest.Connect(t, broker), []pool.Handler{
		pool.Handle(probe, func(ctx context.Context, j job) (json.RawMessage, error) {
			if j.ConnectorID != "hanging" {
				return nil, nil
			}
			started <- struct{}{}
			select {
			case <-release:
			case <-ctx.Done():
			}
			return nil, nil
		}).To(destination),
	}, options, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return &bundle{p, pooltest.Connect(t, broker)}, started, release
}

func TestHangingConnectorLeavesRoomForAHealthyOne(t *testing.T) {
	t.Parallel()
	const slots, share = 16, 9
	b, started, release := setupHanging(t, pool.Options{Slots: slots}, nil)
	var hanging []*nats.Subscription
	for range share {
		hanging = append(hanging, b.sendFrom(t, "hanging"))
		<-started
	}
	for range 3 * slots {
		if signal, _ := next(t, b.sendFrom(t, "hanging")); signal != wire.Busy {
			t.Fatalf("one more that hangs: signal %q, want %q", signal, wire.Busy)
		}
		if reply := final(t, b.sendFrom(t, "healthy")); reply.Failure != nil {
			t.Fatalf("a healthy one: %+v, want success", reply.Failure)
		}
	}
	close(release)
	for _, sub := range hanging {
		if reply := final(t, sub); reply.Failure != nil {
			t.Errorf("one that hung: %+v, want success", reply.Failure)
		}
	}
}

// The connectors are two, the host is one: a third one of that host is refused, one
// of another host is not.
func TestHangingDestinationLeavesRoomForAnother(t *testing.T) {
	t.Parallel()
	host := "one"
	b, started, release := setupHanging(t, pool.Options{Slots: 16, DestinationSlots: 2},
		func(json.RawMessage) string { return host })
	defer close(release)
	for range 2 {
		b.sendFrom(t, "hanging")
		<-started
	}
	for range 10 {
		if signal, _ := next(t, b.sendFrom(t, "healthy")); signal != wire.Busy {
			t.Fatalf("another connector of the host that hangs: signal %q, want %q", signal, wire.Busy)
		}
	}
	host = "other" // nothing is being read
	for range 50 {
		if reply := final(t, b.sendFrom(t, "healthy")); reply.Failure != nil {
			t.Fatalf("another host: %+v, want success", reply.Failure)
		}
	}
	host = "" // as of a type without destinations
	if reply := final(t, b.sendFrom(t, "healthy")); reply.Failure != nil {
		t.Errorf("no host: %+v, want success", reply.Failure)
	}
}

// What an executor did not begin is as if there were no slot.
func TestExecutorMayBeBusy(t *testing.T) {
	t.Parallel()
	b := setup(t, pool.Options{Slots: 1}, func(context.Context, job) (json.RawMessage, error) { return nil, pool.ErrBusy })
	for range 3 { // and its slot is free again
		if signal, _ := next(t, b.send(t, "e", patience)); signal != wire.Busy {
			t.Errorf("signal %q, want %q", signal, wire.Busy)
		}
	}
}

func TestWhatComesTooLateIsNotBegun(t *testing.T) {
	t.Parallel()
	b := setup(t, pool.Options{Slots: 1}, func(context.Context, job) (json.RawMessage, error) {
		t.Error("it was begun")
		return nil, nil
	})
	for _, left := range []time.Duration{-time.Second, 0, 4 * time.Millisecond} {
		failure := final(t, b.send(t, "e", left)).Failure
		want := "nothing was begun: " + left.String() + " of the time limit are left"
		if failure == nil || failure.ServiceMessage != want || failure.Unknown || failure.Retry != wire.RetryLater() {
			t.Errorf("%s left: %+v, want the service message %q", left, failure, want)
		}
	}
}
