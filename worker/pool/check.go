package pool

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
)

// checkTimeout is how long the broker may take to say what it refuses.
const checkTimeout = 2 * time.Second

// check returns an error if the broker refuses what the pool needs: without it, a
// missing permission would look like silence. The broker answers in order, so that
// its refusals have come when the flush is over.
func (p *Pool) check() error {
	var before error // what was refused meanwhile is told by the connection's error handler
	if p.checked.Swap(true) {
		before = p.nc.LastError()
	}
	// To an inbox that no api has.
	if err := p.nc.Publish(wire.InboxPrefix+".check.nobody", nil); err != nil {
		return fmt.Errorf("ask the broker: %w", err)
	}
	for _, typeID := range p.types { // an empty one pauses nothing
		subject, err := wire.PauseSubject(typeID)
		if err != nil {
			return err
		}
		if err := p.nc.Publish(subject, nil); err != nil {
			return fmt.Errorf("tell the broker that nothing is paused: %w", err)
		}
	}
	if err := p.nc.FlushTimeout(checkTimeout); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	if err := p.nc.LastError(); err != before && errors.Is(err, nats.ErrPermissionViolation) { //nolint:errorlint // the very same one
		return fmt.Errorf("the broker refuses the worker what it needs for its types: %w; "+
			"deploy/nats/nats.conf tells the permissions of the users for workers", err)
	}
	return nil
}

// watch checks again whenever the connection comes (back), until Stop.
func (p *Pool) watch() {
	p.connected = p.nc.StatusChanged(nats.CONNECTED)
	p.watching.Go(func() {
		for range p.connected {
			if err := p.check(); errors.Is(err, nats.ErrPermissionViolation) {
				p.log.Error("executions cannot arrive or be answered", "error", err)
			}
		}
	})
}
