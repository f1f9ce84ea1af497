package pool

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
)

// subscribeReseal takes requests to seal secrets of a type anew, if it has any.
func (p *Pool) subscribeReseal(h Handler) error {
	if !h.hasSecrets || p.options.Reseal == nil {
		return nil
	}
	subject, err := wire.ResealSubject(h.typeID)
	if err != nil {
		return err
	}
	sub, err := p.nc.QueueSubscribe(subject, wire.QueueGroup, p.takeReseal)
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	p.subs = append(p.subs, sub)
	return sub.SetPendingLimits(-1, -1)
}

// takeReseal gives msg a slot like an execution's, or answers busy. A batch takes
// milliseconds, so that nobody needs to hear that it is running.
func (p *Pool) takeReseal(msg *nats.Msg) {
	if !p.claim(msg) {
		return
	}
	p.jobs.Go(func() {
		var request wire.ResealRequest
		var reply wire.ResealReply
		err := json.Unmarshal(msg.Data, &request)
		if err == nil {
			reply.Items = p.options.Reseal(request.Items)
		}
		body, encodeErr := wire.Encode(reply)
		if err := errors.Join(err, encodeErr); err != nil {
			p.log.Error("secrets could not be sealed anew", "error", err)
		}
		p.busy.Add(-1) // before the reply, as for an execution
		p.send(&nats.Msg{Subject: msg.Reply, Data: body})
	})
}
