package pool

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
)

// answer tells what came of an execution.
func (p *Pool) answer(h Handler, msg *nats.Msg, req *wire.Request, reply wire.Reply, err error) {
	switch {
	case err == nil:
		p.reply(h, msg, reply)
	case errors.Is(err, ErrBusy):
		p.busy(h, msg)
	default:
		failure := failureOf(err)
		p.log.Warn("execution failed", "execution", req.ExecutionID, "space", req.Space, "connector", req.Connector.ID,
			"type", req.Connector.Type, "message", failure.Message, "service_message", failure.ServiceMessage, "unknown", failure.Unknown)
		p.reply(h, msg, wire.Reply{Failure: failure, RunMicros: reply.RunMicros})
	}
}

// replySize is the room for what a reply without a failure holds besides its data.
const replySize = len(`{"raw_bytes":9223372036854775807,"worker":"","run_us":86400000000,"data":}`)

func (p *Pool) reply(h Handler, msg *nats.Msg, reply wire.Reply) {
	reply.Worker = p.options.Name
	b := p.buffers.Get(len(reply.Data) + len(reply.Worker) + replySize)
	defer p.buffers.Put(b) // the connection copies what is published
	body, err := reply.Append(*b)
	if err == nil {
		*b = body // it may have grown
	}
	if limit := p.nc.MaxPayload(); err != nil || int64(len(body)) > limit {
		if err == nil {
			err = fmt.Errorf("the answer of %d bytes is larger than the broker's max_payload of %d bytes", len(body), limit)
		}
		reply.Failure = lost(err)
		body, _ = wire.Encode(wire.Reply{Failure: reply.Failure, Worker: reply.Worker, RunMicros: reply.RunMicros})
	}
	h.ended(reply)
	p.send(&nats.Msg{Subject: msg.Reply, Data: body})
}

// busy says that the worker has no room for an execution.
func (p *Pool) busy(h Handler, msg *nats.Msg) {
	if h.observe != nil {
		h.observe(End{Busy: true})
	}
	p.signal(msg, wire.Busy)
}

func (p *Pool) signal(msg *nats.Msg, signal string) {
	p.send(&nats.Msg{Subject: msg.Reply, Header: nats.Header{wire.SignalHeader: {signal}}})
}

func (p *Pool) send(msg *nats.Msg) {
	if err := p.nc.PublishMsg(msg); err != nil {
		p.log.Error("reply could not be sent", "error", err)
	}
}
