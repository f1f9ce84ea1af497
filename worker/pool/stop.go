package pool

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Stop takes no more executions, waits for the running ones, at most for the
// grace, and returns when their replies have reached the broker.
func (p *Pool) Stop() error {
	p.nc.RemoveStatusListener(p.connected) // closes it
	p.watching.Wait()
	errs := []error{p.drain()}
	// Only now: a message that was under way when the drain began has become a job.
	end := time.Now().Add(p.options.Grace)
	grace := time.AfterFunc(p.options.Grace, func() { p.stop(ErrStopping) })
	p.jobs.Wait()
	p.beats.stop()
	grace.Stop()
	p.stop(ErrStopping)
	for _, sub := range p.cancel { // not before: who leaves now still ends a job
		errs = append(errs, sub.Unsubscribe())
	}
	return errors.Join(append(errs, p.flush(time.Until(end)))...)
}

// drain ends the subscriptions and returns when their last message was taken.
func (p *Pool) drain() error {
	end := (*nats.Subscription).Drain
	if !p.nc.IsConnected() {
		end = (*nats.Subscription).Unsubscribe // a drain would wait for the broker
	}
	var errs []error
	var closed sync.WaitGroup
	for _, sub := range p.subs {
		closed.Add(1)
		sub.SetClosedHandler(func(string) { closed.Done() })
		// Drain only starts it: the closed handler tells when it is over.
		if err := end(sub); err != nil {
			closed.Done()
			errs = append(errs, fmt.Errorf("drain %s: %w", sub.Subject, err))
		}
	}
	closed.Wait()
	return errors.Join(errs...)
}

// flush returns when the replies have reached the broker. If it is away, what is
// left of the grace is the time for it to come back.
func (p *Pool) flush(left time.Duration) error {
	back := p.nc.StatusChanged(nats.CONNECTED) // before the question, or it may be missed
	defer p.nc.RemoveStatusListener(back)
	if !p.nc.IsConnected() {
		waiting, _ := p.nc.Buffered()
		if waiting <= 0 {
			return nil
		}
		select {
		case <-back:
		case <-time.After(left):
			return fmt.Errorf("replies of %d bytes could not be sent: the broker is away", waiting)
		}
	}
	if err := p.nc.Flush(); err != nil {
		return fmt.Errorf("flush replies: %w", err)
	}
	return nil
}
