// Package queue runs durable executions: it feeds those that are due to a JetStream
// work queue, takes them from there, runs them, and decides what follows an attempt.
//
// The row in the ledger is the record of an execution. What stands in the stream is a
// ticket that says "look at these rows": one too many is thrown away, one too few is
// written again.
package queue

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

// Options configure a [Queue].
type Options struct {
	Slots         int           // executions that run at once
	Bytes         int64         // of their params together; one larger runs alone
	RetryDelay    time.Duration // before the second attempt, at most; twice as much before each further one
	MaxRetryDelay time.Duration // the ceiling of it
	MaxAge        time.Duration // how old an execution may be when an attempt begins
	AckWait       time.Duration // until a ticket that nobody is heard of with is given to another api; 0: 30 s
	Replicas      int           // of the streams
	MaxSubmitted  int64         // bytes that the stream of submissions may hold
	Grace         time.Duration // how long running executions may last once ctx ends
}

// Run runs one attempt and returns the worker's word, or an error of package dispatch,
// which says that nothing was run; [ledger.Deleted] and [ledger.Disabled] are told by
// [*Gone]. Cause dispatch.ErrStopping of ctx cuts it off.
type Run func(ctx context.Context, job *ledger.Job) (wire.Reply, error)

// Gone says that an execution cannot be run any more, whatever is tried.
type Gone struct {
	Class   ledger.Class
	Message string
}

func (e *Gone) Error() string { return e.Message }

// Queue is the durable side of one api process.
type Queue struct {
	nc      *nats.Conn
	ledger  *ledger.Ledger
	run     Run
	submit  Submit
	options Options
	log     *slog.Logger
	random  random

	flight  *flight
	pauses  *pauses
	freed   chan struct{} // signalled when less is in flight
	running sync.WaitGroup
}

// New returns a Queue. Nothing happens before Run.
func New(nc *nats.Conn, l *ledger.Ledger, run Run, submit Submit, options Options, log *slog.Logger) *Queue {
	options.AckWait = cmp.Or(options.AckWait, 30*time.Second)
	return &Queue{
		nc: nc, ledger: l, run: run, submit: submit, options: options, log: log, random: anything,
		flight: newFlight(&options),
		pauses: &pauses{random: anything, trial: longestTrial, of: make(map[place]pause)},
		freed:  make(chan struct{}, 1),
	}
}

// Run feeds and runs executions until ctx ends, and then lets those that run finish
// within the grace; the error is that some did not. It outlives any loss of the broker,
// its streams and consumers. It is called once.
func (q *Queue) Run(ctx context.Context) error {
	js, err := jetstream.New(q.nc)
	if err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	runs, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	q.keep(ctx, runs, js)
	ended := make(chan struct{})
	go func() {
		q.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-time.After(q.options.Grace):
	}
	cut(dispatch.ErrStopping)
	<-ended
	return fmt.Errorf("stop: queued executions still ran after %s", q.options.Grace)
}
