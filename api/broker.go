package api

import (
	"context"
	"errors"
	"sync"
	"time"

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
		again := time.NewTicker(checkAgain)
		defer again.Stop()
		for {
			select {
			case _, open := <-connected:
				if !open {
					return
				}
				s.checkBroker(types)
				if !s.refused.Load() {
					s.logMute(ctx, types)
				}
			case <-again.C: // the broker may have been told to read its configuration again
				if s.refused.Load() && s.nc.IsConnected() {
					s.checkBroker(types)
				}
			}
		}
	})
	return func() {
		cancel()
		s.nc.RemoveStatusListener(connected) // closes it
		watching.Wait()
	}, nil
}

// checkAgain is how often a broker that refuses what the api needs is asked again.
const checkAgain = 2 * time.Second

func (s *server) checkBroker(types []string) {
	before := s.refused.Load()
	err := s.dispatch.Check(types)
	refused := errors.Is(err, dispatch.ErrRefused)
	s.refused.Store(refused)
	switch {
	case refused && !before:
		s.log.Error("executions cannot be sent or answered", "error", err)
	case before && !refused:
		s.log.Info("the broker allows what the api needs again")
		// Subscriptions that it ended come back with the connection only.
		if err := s.nc.ForceReconnect(); err != nil {
			s.log.Warn("broker connection could not be renewed", "error", err)
		}
	}
}

func (s *server) logMute(ctx context.Context, types []string) {
	if mute := s.dispatch.Mute(ctx, types); len(mute) > 0 {
		s.log.Error("workers do not answer: they hang, or the broker does not let them, see deploy/nats/nats.conf",
			"types", mute)
	}
}
