package pool

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
)

func TestEarlyCancelsAreBounded(t *testing.T) {
	t.Parallel()
	var e early
	if e.has("0") {
		t.Error("an empty one has a cancel")
	}
	n := len(e.order)
	for i := range n + 1 {
		e.add(strconv.Itoa(i))
	}
	if e.has("0") || !e.has("1") || !e.has(strconv.Itoa(n)) || len(e.subjects) != n {
		t.Errorf("%d cancels, want the last %d of %d", len(e.subjects), n, n+1)
	}
}

// The api sends an empty one to see whether it may.
func TestCancelOfNothingIsNotKept(t *testing.T) {
	t.Parallel()
	var p Pool
	p.abandon("")
	if p.early.has("") {
		t.Error("a request without a reply subject would be cancelled")
	}
}

func TestWhatNobodyWaitsForIsNotBegun(t *testing.T) {
	t.Parallel()
	h := Handler{execute: func(context.Context, *wire.Request, []byte, connector.Hosts) (json.RawMessage, error) {
		t.Error("it was begun")
		return nil, nil
	}}
	request := &wire.Request{TimeLeft: wire.Millis(time.Hour)}
	p := Pool{cancels: make(map[string]context.CancelCauseFunc)}
	p.ctx, p.stop = context.WithCancelCause(t.Context())
	p.abandon("abandoned")
	if _, err := p.run(h, &nats.Msg{Reply: "abandoned"}, request); !errors.Is(err, ErrAbandoned) {
		t.Errorf("abandoned before it came: %v, want %v", err, ErrAbandoned)
	}
	p.stop(ErrStopping)
	if _, err := p.run(h, &nats.Msg{Reply: "late"}, request); !errors.Is(err, ErrStopping) {
		t.Errorf("after the grace: %v, want %v", err, ErrStopping)
	}
	if len(p.cancels) > 0 {
		t.Errorf("left: %d", len(p.cancels))
	}
}
