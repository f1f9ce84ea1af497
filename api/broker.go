package api

import (
	"context"
	"errors"
	"sync"

	"github.com/nats-io/nats.go"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/shared/connector"
)

// watchBroker checks what the broker lets the api do: now, where a refusal is an
// error, and in the log whenever the connection comes (back), until stop.
func (s *server) watchBroker(ctx context.Context) (stop func(), err error) {
	types := make([]string, len(connector.All))
	for i, t := range connector.All {
		types[i] = t.Describe().ID
	}
	connected := s.nc.StatusChanged(nats.CONNECTED) // before the question, or it may be missed
	there := s.nc.IsConnected()
	if there {
		if err := s.dispatch.Check(types); errors.Is(err, dispatch.ErrRefused) {
			s.nc.RemoveStatusListener(connected)
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		if there {
			s.logMute(ctx, types)
		}
		for range connected {
			err := s.dispatch.Check(types)
			s.refused.Store(errors.Is(err, dispatch.ErrRefused))
			if s.refused.Load() {
				s.log.Error("executions cannot be sent or answered", "error", err)
				continue
			}
			s.logMute(ctx, types)
		}
	})
	return func() {
		cancel()
		s.nc.RemoveStatusListener(connected) // closes it
		watching.Wait()
	}, nil
}

func (s *server) logMute(ctx context.Context, types []string) {
	if mute := s.dispatch.Mute(ctx, types); len(mute) > 0 {
		s.log.Error("workers do not answer: they hang, or the broker's allow_responses lets them not, see deploy/nats/nats.conf",
			"types", mute)
	}
}
