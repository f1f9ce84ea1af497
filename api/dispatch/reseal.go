package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"patchbay.dev/shared/wire"
)

// Reseal has a worker of a type seal items anew, to the newest of its own keys,
// and returns a result for each, in their order. The errors are those of
// [Dispatcher.Ask], and others where Ask tells of an unknown outcome: whatever
// became of it, it can be asked again.
func (d *Dispatcher) Reseal(ctx context.Context, typeID string, items []wire.Sealed, timeout time.Duration) ([]wire.Resealed, error) {
	reply, err := d.reseal(ctx, typeID, items, timeout)
	if err != nil {
		return nil, err
	}
	if len(reply.Items) != len(items) {
		return nil, fmt.Errorf("the worker answered %d results for %d items", len(reply.Items), len(items))
	}
	return reply.Items, nil
}

// NewestKey asks a worker of a type to which of its keys it seals, and returns the
// key's id; "" if it tells none. The errors are those of [Dispatcher.Reseal].
func (d *Dispatcher) NewestKey(ctx context.Context, typeID string, timeout time.Duration) (string, error) {
	reply, err := d.reseal(ctx, typeID, []wire.Sealed{}, timeout)
	return reply.Key, err
}

func (d *Dispatcher) reseal(ctx context.Context, typeID string, items []wire.Sealed, timeout time.Duration) (reply wire.ResealReply, err error) {
	subject, err := wire.ResealSubject(typeID)
	if err != nil {
		return reply, err
	}
	body, err := wire.Encode(wire.ResealRequest{Items: items})
	if err != nil {
		return reply, fmt.Errorf("encode request: %w", err)
	}
	msg, err := d.ask(ctx, question{subject: subject, typeID: typeID, size: len(body), within: func(b []byte, _ time.Duration) []byte { return append(b, body...) }}, timeout)
	if lost, ok := errors.AsType[lostError](err); ok {
		if cause := context.Cause(ctx); cause != nil {
			return reply, cause
		}
		return reply, fmt.Errorf("no answer came: %w", lost)
	}
	if err != nil {
		return reply, err
	}
	if err := json.Unmarshal(msg.Data, &reply); err != nil {
		return wire.ResealReply{}, fmt.Errorf("read the worker's answer: %w", err)
	}
	return reply, nil
}
