package queue

import (
	"errors"
	"time"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

// maxLost is how many workers may die on an execution.
const maxLost = 2

// errTooOld is what stops an attempt that would begin too late.
var errTooOld = errors.New("the execution waited too long to be run")

// decide says what follows the attempt of a job that ended now, with a worker's word
// or with an error, which says that nothing was run.
func decide(job *ledger.Job, reply wire.Reply, err error, now time.Time, o *Options, r random) ledger.Ending {
	e := ledger.Ending{Seq: job.Seq, Attempt: job.Attempt, State: ledger.Dead, Data: reply.Data}
	a := &e.Attempt
	a.EndedAt, a.Worker, a.Failure, a.Outcome = now, reply.Worker, reply.Failure, reply.Outcome()
	if err != nil {
		a.Outcome, a.Failure = wire.Error, notRun(err)
	}
	took := max(now.Sub(a.StartedAt), 0)
	a.Run = min(time.Duration(reply.RunMicros)*time.Microsecond, took)
	a.Dispatch = took - a.Run
	e.Lost = err == nil && a.Failure != nil && a.Failure.Silent

	e.Class = class(job, a.Failure, err)
	switch due := again(job, a.Failure, now, o, r); {
	case e.Class != "":
	case err != nil && o.tooOld(job, now):
		e.Class = ledger.Expired
	case err != nil: // in its old place: the pause keeps it from being tried at once
		e.State, e.NotRun, e.DueAt = ledger.Queued, true, a.DueAt
	case a.Failure == nil:
		e.State = ledger.Done
	case a.Number >= job.MaxAttempts:
		e.Class = ledger.Exhausted
	case o.tooOld(job, due):
		e.Class = ledger.Expired
	default:
		e.State, e.DueAt = ledger.Queued, due
	}
	a.Last = e.State != ledger.Queued
	return e
}

// class says why an execution ends here, however many attempts are left; "" if it
// does not.
func class(job *ledger.Job, f *wire.Failure, err error) ledger.Class {
	if gone, ok := errors.AsType[*Gone](err); ok {
		return gone.Class
	}
	if _, ok := errors.AsType[*dispatch.TooLargeError](err); ok {
		return ledger.TooLarge
	}
	switch {
	case errors.Is(err, errTooOld):
		return ledger.Expired
	case err != nil || f == nil:
		return ""
	case f.Silent && job.Lost+1 >= maxLost:
		return ledger.Poison
	case f.Unknown && !job.Safe:
		return ledger.Unknown
	case f.Unknown:
		return "" // whatever it advises: to run it again does no harm
	}
	if again, _ := f.Retry.Again(); !again {
		return ledger.Refused
	}
	return ""
}

// again is when the next attempt may begin.
func again(job *ledger.Job, f *wire.Failure, now time.Time, o *Options, r random) time.Time {
	due := now.Add(r.retry(o, job.Attempt.Number))
	if f == nil {
		return due
	}
	if settled := now.Add(job.Settle); f.Unknown && settled.After(due) {
		due = settled
	}
	if _, at := f.Retry.Again(); at.After(due) {
		return at
	}
	return due
}

// tooOld tells whether an attempt may not begin at t.
func (o *Options) tooOld(job *ledger.Job, t time.Time) bool {
	return t.After(job.QueuedAt.Add(o.MaxAge))
}

func notRun(err error) *wire.Failure {
	return &wire.Failure{
		Message: "an error occurred while running the action", ServiceMessage: err.Error(),
		Retry: wire.RetryNever(), Source: wire.Framework,
	}
}
