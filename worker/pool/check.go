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
//
// That answers may be sent shows only when one is asked for: the api's probe does.
func (p *Pool) check() error {
	// Of a job that no api has.
	if err := p.nc.Publish(wire.RunningSubject(wire.InboxPrefix+".probe"), nil); err != nil {
		return fmt.Errorf("tell the broker that nothing is running: %w", err)
	}
	if err := p.nc.FlushTimeout(checkTimeout); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	if err := p.nc.LastError(); errors.Is(err, nats.ErrPermissionViolation) {
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
