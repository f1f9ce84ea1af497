package queue

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"patchbay.dev/api/dispatch"
)

// keep works with the broker until ctx ends. Whatever is lost is made again: at once
// when the connection comes back, else after a pause.
func (q *Queue) keep(ctx, runs context.Context, js jetstream.JetStream) {
	status := q.nc.StatusChanged()
	defer q.nc.RemoveStatusListener(status)
	var told string // what the log said last
	made := func() {
		if told != "" {
			q.log.Info("queued executions are run again")
			told = ""
		}
	}
	for failed := 0; ; failed++ {
		began := time.Now()
		err := q.session(ctx, runs, js, status, made)
		if ctx.Err() != nil {
			return
		}
		if told != err.Error() {
			told = err.Error()
			q.log.Warn("queued executions wait until this is settled", "error", err)
		}
		if time.Since(began) > lastPause {
			failed = 0
		}
		if waitConnected(ctx, status, q.random.pause(failed)) {
			failed = -1
		}
	}
}

// waitConnected waits until the connection comes back, which is true, or the time is
// over.
func waitConnected(ctx context.Context, status <-chan nats.Status, most time.Duration) bool {
	over := time.After(most)
	for {
		select {
		case <-ctx.Done():
			return false
		case s := <-status:
			if s == nats.CONNECTED {
				return true
			}
		case <-over:
			return false
		}
	}
}

// session lasts until ctx ends or something is lost, which is the error. What runs
// goes on.
func (q *Queue) session(ctx, runs context.Context, js jetstream.JetStream, status <-chan nats.Status, made func()) error {
	for len(status) > 0 {
		<-status // of before
	}
	if !q.nc.IsConnected() {
		return dispatch.ErrDisconnected
	}
	ctx, end := context.WithCancelCause(ctx)
	var parts sync.WaitGroup
	defer func() {
		end(nil)
		parts.Wait()
		q.flight.forget(time.Now().Add(time.Hour)) // all that waits
	}()
	part := func(run func() error) { parts.Go(func() { end(run()) }) }
	part(func() error {
		select {
		case <-status: // also if it is there again: what was asked of it is forgotten
			return dispatch.ErrDisconnected
		case <-ctx.Done():
			return nil
		}
	})
	part(func() error {
		consumers, inbox, err := q.make(ctx, js)
		if err != nil {
			return err
		}
		made()
		for _, c := range consumers {
			part(func() error {
				return q.pull(ctx, c, pullTickets, func(msgs []jetstream.Msg) error { return q.take(runs, msgs) })
			})
		}
		part(func() error { return q.pull(ctx, inbox, pullSubmissions, inbox.accept(ctx, q)) })
		f := feeder{
			Queue: q,
			publish: func(ctx context.Context, subject string, data []byte) error {
				_, err := js.Publish(ctx, subject, data)
				return err
			},
			begin: func(seqs []int64) error { return q.begin(runs, []delivery{{seqs: seqs, settled: func() {}}}) },
		}
		return f.run(ctx)
	})
	<-ctx.Done()
	return context.Cause(ctx)
}
