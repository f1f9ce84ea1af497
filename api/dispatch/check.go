package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
)

// checkTimeout is how long the broker, or a worker, may take to answer a check.
const checkTimeout = 2 * time.Second

// ErrRefused says that the broker refuses what the api needs.
var ErrRefused = errors.New("the broker refuses the api what it needs")

// Check returns an error that is [ErrRefused] and names the subject if the broker
// refuses what the api needs to run connectors of these types: without it, a
// missing permission would look like silence. It runs nothing. Other errors say
// that the broker could not be asked.
func (d *Dispatcher) Check(types []string) error {
	var before error // what the broker refused before we were there does not count
	if d.checked.Swap(true) {
		before = d.nc.LastError()
	}
	// The inbox again: what was allowed when it was made may not be any more.
	inbox, err := d.nc.SubscribeSync(d.inbox + "check")
	if err != nil {
		return fmt.Errorf("ask the broker: %w", err)
	}
	defer func() { _ = inbox.Unsubscribe() }()
	for _, typeID := range types {
		cancel, err := wire.CancelSubject(typeID)
		if err != nil {
			return err
		}
		run, err := wire.Subject(typeID)
		if err != nil {
			return err
		}
		reseal, err := wire.ResealSubject(typeID)
		if err != nil {
			return err
		}
		nobody := d.inbox + "nobody" // no call has this token
		if err := errors.Join(d.nc.Publish(cancel, nil), d.probe(run, nobody), d.probe(reseal, nobody)); err != nil {
			return fmt.Errorf("ask the broker: %w", err)
		}
	}
	// The broker answers in order: its refusals have come when the flush is over.
	if err := d.nc.FlushTimeout(checkTimeout); err != nil {
		return fmt.Errorf("ask the broker: %w", err)
	}
	if err := d.nc.LastError(); err != before && errors.Is(err, nats.ErrPermissionViolation) { //nolint:errorlint // the very same one
		return fmt.Errorf("%w: %w; deploy/nats/nats.conf tells the permissions of the user \"api\"", ErrRefused, err)
	}
	return nil
}

// Mute returns those of the types whose worker took a probe and did not answer it
// within two seconds: it may lack the permission to. Types without a worker are
// not among them, nor is any once ctx has ended.
func (d *Dispatcher) Mute(ctx context.Context, types []string) (mute []string) {
	ctx, stop := context.WithTimeout(ctx, checkTimeout)
	defer stop()
	calls := make(map[string]*call)
	for _, typeID := range types {
		subject, err := wire.Subject(typeID)
		if err != nil {
			continue
		}
		c := d.open()
		defer d.close(c)
		if d.probe(subject, d.inbox+c.token) == nil {
			calls[typeID] = c
		}
	}
	for typeID, c := range calls {
		select {
		case <-c.answers:
		case <-ctx.Done():
			if len(c.answers) == 0 {
				mute = append(mute, typeID)
			}
		}
	}
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil
	}
	slices.Sort(mute)
	return mute
}

func (d *Dispatcher) probe(subject, reply string) error {
	return d.nc.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Header: nats.Header{wire.SignalHeader: {wire.Probe}}})
}
