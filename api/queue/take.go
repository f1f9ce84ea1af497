package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

// pullTickets is how many tickets one pull asks for.
const pullTickets = 64

// lastWords is how long an ending may take to be written once all is cut off.
const lastWords = 5 * time.Second

// delivery is the rows of one ticket.
type delivery struct {
	seqs       []int64
	inProgress func() error // nil for a ticket that was never in the stream
	settled    func()       // called when nothing of it runs any more
}

// take begins what tickets name. What nobody fed here, or somebody took before, is
// left: the ticket is of an earlier time.
func (q *Queue) take(runs context.Context, msgs []jetstream.Msg) error {
	deliveries := make([]delivery, len(msgs))
	for i, msg := range msgs {
		var t ticket
		if err := json.Unmarshal(msg.Data(), &t); err != nil {
			q.log.Warn("ticket cannot be read; it is thrown away", "error", err)
		}
		// An ack that is lost brings the ticket back, for nothing.
		deliveries[i] = delivery{t.Seqs, msg.InProgress, func() { _ = msg.Ack() }}
	}
	return q.begin(runs, deliveries)
}

// begin claims the rows of all deliveries in one write, and has them run.
func (q *Queue) begin(runs context.Context, deliveries []delivery) error {
	var seqs []int64
	of := make(map[int64]int) // the delivery of each
	for i := range deliveries {
		taken := q.flight.take(deliveries[i].seqs)
		for _, seq := range taken {
			of[seq] = i
		}
		seqs = append(seqs, taken...)
	}
	jobs := make([][]*ledger.Job, len(deliveries))
	if len(seqs) > 0 {
		// What is claimed must be run: runs does not end before this has.
		claimed, err := q.ledger.Claim(runs, seqs, time.Now())
		if err != nil {
			q.leave(seqs...)
			return fmt.Errorf("begin executions: %w", err)
		}
		for i := range claimed {
			job := &claimed[i]
			q.flight.begin(job.Seq, time.Now())
			jobs[of[job.Seq]] = append(jobs[of[job.Seq]], job)
			delete(of, job.Seq)
		}
		for seq := range of { // ended, or was put off, in the meantime
			q.leave(seq)
		}
	}
	for i, d := range deliveries {
		if len(jobs[i]) == 0 {
			d.settled()
			continue
		}
		q.running.Go(func() { q.work(runs, d, jobs[i]) })
	}
	return nil
}

// work runs the jobs of one ticket at once, and keeps the ticket until all have ended.
func (q *Queue) work(runs context.Context, d delivery, jobs []*ledger.Job) {
	defer d.settled()
	var attempts sync.WaitGroup
	if d.inProgress != nil {
		over := make(chan struct{})
		var telling sync.WaitGroup
		defer telling.Wait()
		defer close(over)
		telling.Go(func() { q.tell(over, d.inProgress) })
	}
	for _, job := range jobs {
		attempts.Go(func() { q.attempt(runs, job) })
	}
	attempts.Wait()
}

// tell says that a ticket is being worked on, until that is over.
func (q *Queue) tell(over <-chan struct{}, inProgress func() error) {
	beat := time.NewTicker(q.options.AckWait / 3)
	defer beat.Stop()
	for {
		select {
		case <-over:
			return
		case <-beat.C:
			_ = inProgress() // if it is lost, the ticket comes twice
		}
	}
}

// attempt runs a job once and records how that ended.
func (q *Queue) attempt(runs context.Context, job *ledger.Job) {
	defer q.leave(job.Seq)
	reply, err := q.try(runs, job)
	now := time.Now()
	ending := decide(job, reply, err, now, &q.options, q.random)
	q.pauses.ended(&ending, err, place{job.Space, job.ConnectorID, job.Type}, now)
	ctx, stop := outlast(runs, lastWords)
	defer stop()
	if err := q.ledger.End(ctx, ending); err != nil {
		// The next start finds it running and goes on from there.
		q.log.Error("the end of an execution could not be written", "execution", job.ID, "space", job.Space,
			"connector", job.ConnectorID, "type", job.Type, "error", err)
		return
	}
	q.tellEnd(job, &ending)
}

// tellEnd logs what an operator counts: dead letters, and what is tried again. What was
// not run is told by whoever ran nothing.
func (q *Queue) tellEnd(job *ledger.Job, e *ledger.Ending) {
	level, message := slog.LevelWarn, "execution became a dead letter"
	switch {
	case e.State == ledger.Queued && !e.NotRun:
		level, message = slog.LevelInfo, "execution will be tried again"
	case e.State != ledger.Dead:
		return
	}
	attrs := []slog.Attr{
		slog.String("execution", job.ID), slog.String("space", job.Space), slog.String("connector", job.ConnectorID),
		slog.String("type", job.Type), slog.Int("attempt", e.Attempt.Number), slog.Int("max_attempts", job.MaxAttempts),
	}
	if e.State == ledger.Dead {
		attrs = append(attrs, slog.String("error_class", string(e.Class)))
	} else {
		attrs = append(attrs, slog.Time("due", e.DueAt))
	}
	if f := e.Attempt.Failure; f != nil {
		attrs = append(attrs, slog.String("message", f.Message), slog.String("service_message", f.ServiceMessage))
	}
	q.log.LogAttrs(context.Background(), level, message, attrs...) //nolint:sloglint // it is one of the constants above
}

func (q *Queue) try(runs context.Context, job *ledger.Job) (reply wire.Reply, err error) {
	if q.options.tooOld(job, time.Now()) {
		return reply, errTooOld
	}
	return q.run(runs, job)
}

// leave makes room for what waits.
func (q *Queue) leave(seqs ...int64) {
	for _, seq := range seqs {
		q.flight.leave(seq)
	}
	signal(q.freed)
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// outlast returns a context that ends a while after ctx has.
func outlast(ctx context.Context, d time.Duration) (_ context.Context, stop func()) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() {
		select {
		case <-longer.Done():
		case <-time.After(d):
			cancel()
		}
	})
	return longer, func() { unhook(); cancel() }
}
