package pool

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/wire"
)

// subscribeReseal takes requests to seal anew what is sealed for a type: secrets, if it
// has any, and params of dead letters.
func (p *Pool) subscribeReseal(h Handler) error {
	if p.options.Reseal == nil {
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

// resealing holds the slots of those who seal; no connector has such an id.
const resealing = "sealing anew"

// takeReseal gives msg a slot like an execution's, or answers busy. A batch takes
// milliseconds, so that nobody needs to hear that it is running.
func (p *Pool) takeReseal(msg *nats.Msg) {
	if p.isProbe(msg) {
		return
	}
	if !p.shares.enter(resealing, "") {
		p.signal(msg, wire.Busy)
		return
	}
	p.jobs.Go(func() {
		var request wire.ResealRequest
		var reply wire.ResealReply
		err := json.Unmarshal(msg.Data, &request)
		if err == nil {
			reply = p.resealed(request.Items)
		}
		body, encodeErr := wire.Encode(reply)
		if err := errors.Join(err, encodeErr); err != nil {
			p.log.Error("secrets could not be sealed anew", "error", err)
		}
		p.shares.leave(resealing, "") // before the reply, as for an execution
		p.send(&nats.Msg{Subject: msg.Reply, Data: body})
	})
}

// resealed seals items anew. Without any it tells the newest key, of which there is
// the id on everything that was just sealed, also on nothing.
func (p *Pool) resealed(items []wire.Sealed) wire.ResealReply {
	if len(items) > 0 {
		return wire.ResealReply{Items: p.options.Reseal(items)}
	}
	reply := wire.ResealReply{Items: []wire.Resealed{}}
	if id, err := seal.KeyOf(p.options.Reseal([]wire.Sealed{{}})[0].Secrets); err == nil {
		reply.Key = id.String()
	}
	return reply
}
