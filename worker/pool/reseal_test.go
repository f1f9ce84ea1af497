package pool_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/pool"
	"patchbay.dev/worker/pool/pooltest"
)

// sealedProbe is a connector type with secrets.
var sealedProbe = connector.Type[connector.None, struct {
	Token string `json:"token"`
}, connector.None]{About: connector.About{ID: ".sealed"}}

// setupReseal runs a pool of one type with secrets and one without.
func setupReseal(t *testing.T, slots int, reseal func([]wire.Sealed) []wire.Resealed) *bundle {
	t.Helper()
	broker := pooltest.Broker(t)
	handlers := []pool.Handler{
		pool.Handle(probe, func(context.Context, job) (json.RawMessage, error) { return nil, nil }),
		pool.Handle(sealedProbe, func(context.Context, pool.Job[connector.None, struct {
			Token string `json:"token"`
		}, connector.None]) (json.RawMessage, error) {
			return nil, nil
		}),
	}
	p, err := pool.Start(pooltest.Connect(t, broker), handlers, pool.Options{Slots: slots, Grace: patience, Reseal: reseal},
		slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return &bundle{p, pooltest.Connect(t, broker)}
}

func (b *bundle) reseal(t *testing.T, body string) (wire.ResealReply, *nats.Msg) {
	t.Helper()
	msg, err := b.nc.Request("patchbay.v1.reseal.sealed", []byte(body), patience)
	if err != nil {
		t.Fatal(err)
	}
	var reply wire.ResealReply
	if len(msg.Data) > 0 {
		if err := json.Unmarshal(msg.Data, &reply); err != nil {
			t.Fatalf("answer %q: %v", msg.Data, err)
		}
	}
	return reply, msg
}

func TestResealAnswersForEachItem(t *testing.T) {
	t.Parallel()
	b := setupReseal(t, 1, func(items []wire.Sealed) []wire.Resealed {
		results := make([]wire.Resealed, len(items))
		for i, item := range items {
			results[i] = wire.Resealed{Secrets: append(item.Binding, item.Secrets...)}
		}
		return results
	})
	for range 200 { // the slot is free when the answer arrives
		got, _ := b.reseal(t, `{"items":[{"binding":"YQ==","secrets":"Yg=="},{"binding":"Yw==","secrets":"ZA=="}]}`)
		want := wire.ResealReply{Items: []wire.Resealed{{Secrets: []byte("ab")}, {Secrets: []byte("cd")}}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("answer (-want +got):\n%s", diff)
		}
	}
	if got, _ := b.reseal(t, `{"items":`); got.Items != nil {
		t.Errorf("answer to an unreadable request: %v, want no results", got.Items)
	}
	// Params of dead letters are sealed for every type.
	if msg, err := b.nc.Request("patchbay.v1.reseal.probe", []byte(`{"items":[{"binding":"YQ=="}]}`), patience); err != nil || string(msg.Data) != `{"items":[{"secrets":"YQ=="}]}` {
		t.Errorf("a type without secrets: %v, %v, want a result", msg, err)
	}
}

func TestResealTakesASlotAndIsWaitedFor(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	b := setupReseal(t, 1, func(items []wire.Sealed) []wire.Resealed {
		close(started)
		<-release
		return make([]wire.Resealed, len(items))
	})
	sub, err := b.nc.SubscribeSync(b.nc.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.nc.PublishRequest("patchbay.v1.reseal.sealed", sub.Subject, []byte(`{"items":[{}]}`)); err != nil {
		t.Fatal(err)
	}
	<-started
	if _, msg := b.reseal(t, `{"items":[{}]}`); msg.Header.Get(wire.SignalHeader) != wire.Busy {
		t.Errorf("second batch: %v, want %q", msg.Header, wire.Busy)
	}
	if signal, _ := next(t, b.send(t, "e", patience)); signal != wire.Busy {
		t.Errorf("execution beside a batch: signal %q, want %q", signal, wire.Busy)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- b.pool.Stop() }()
	for { // until it takes no more
		if _, err := b.nc.Request("patchbay.v1.reseal.sealed", nil, patience); errors.Is(err, nats.ErrNoResponders) {
			break
		}
	}
	select {
	case err := <-stopped:
		t.Fatalf("Stop returned %v while a batch was being sealed", err)
	default:
	}
	close(release)
	if msg, err := sub.NextMsg(patience); err != nil || string(msg.Data) != `{"items":[{}]}` {
		t.Errorf("answer: %v, %v", msg, err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Stop: %v", err)
	}
}
