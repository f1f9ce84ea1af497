package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/pool"
)

// Bounds of what a worker believes another one. Anybody who can publish as a worker
// of the type could forge it.
const (
	maxPauseBody = 512 // bytes
	maxHostName  = 260 // bytes, with a port
)

// pauses tells the other workers which destinations want to be left alone, and
// hears it from them.
type pauses struct {
	nc   *nats.Conn
	log  *slog.Logger
	subs []*nats.Subscription
}

// tell tells the other workers of a type. It does not block, and is a favour: who
// does not hear it asks the destination.
func (p *pauses) tell(typeID, host string, left time.Duration) {
	p.log.Warn("destination asks for a pause", "type", typeID, "host", host, "seconds", left.Seconds())
	subject, err := wire.PauseSubject(typeID)
	if err != nil {
		return
	}
	if body, err := wire.Encode(wire.Pause{Host: host, Seconds: int(math.Ceil(left.Seconds()))}); err == nil {
		_ = p.nc.Publish(subject, body)
	}
}

// hear has pause called with what others tell, until stop.
func (p *pauses) hear(handlers []pool.Handler, pause func(typeID, host string, left time.Duration)) error {
	for _, h := range handlers {
		subject, err := wire.PauseSubject(h.Type())
		if err != nil {
			return err
		}
		sub, err := p.nc.Subscribe(subject, func(msg *nats.Msg) {
			if told, ok := readPause(msg.Data); ok {
				pause(h.Type(), told.Host, time.Duration(told.Seconds)*time.Second)
			}
		})
		if err != nil {
			return fmt.Errorf("subscribe to %s: %w", subject, err)
		}
		p.subs = append(p.subs, sub)
	}
	return nil
}

func readPause(body []byte) (told wire.Pause, ok bool) {
	if len(body) > maxPauseBody || json.Unmarshal(body, &told) != nil {
		return told, false
	}
	const year = 365 * 24 * 60 * 60 // as a duration it does not overflow
	return told, told.Host != "" && len(told.Host) <= maxHostName && told.Seconds > 0 && told.Seconds <= year
}

// stop hears no more.
func (p *pauses) stop() error {
	var errs []error
	for _, sub := range p.subs {
		if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
