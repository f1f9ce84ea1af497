package api

import (
	"context"
	"errors"
	"fmt"

	"patchbay.dev/api/ledger"
	"patchbay.dev/api/queue"
	"patchbay.dev/api/store"
	"patchbay.dev/shared/wire"
)

// runJob runs one attempt of a queued execution; it is the queue's [queue.Run].
func (s *server) runJob(ctx context.Context, job *ledger.Job) (wire.Reply, error) {
	defer s.rotation.executing.enter()()
	found, err := s.load(ctx, job.Space, job.ConnectorID)
	if p, refused := errors.AsType[*problem](err); refused {
		return wire.Reply{}, &queue.Gone{Class: ledger.Disabled, Message: p.message}
	}
	if errors.Is(err, store.ErrNotFound) {
		return wire.Reply{}, &queue.Gone{Class: ledger.Deleted, Message: problemAbout(err, job.ConnectorID).message}
	}
	if err != nil {
		return wire.Reply{}, err
	}
	if found.Type != job.Type { // its params are not for this one
		return wire.Reply{}, &queue.Gone{Class: ledger.Deleted, Message: fmt.Sprintf(
			"The connector was deleted, and its id is now that of a %q action.", found.Type)}
	}
	request := wire.Request{
		ExecutionID: job.ID, Given: true, Attempt: job.Attempt.Number, Space: job.Space, Connector: found,
		Params: job.Params, SealedParams: job.SealedParams, Access: job.Access,
	}
	reply, err := s.dispatch.Ask(ctx, &request, carried(job.Traceparent, job.Tracestate), s.config.ExecuteTimeout)
	s.record(&request, reply, err)
	return reply, err
}
