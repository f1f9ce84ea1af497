package queue

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

func TestWhatFollowsAnAttempt(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	now := begun.Add(2 * time.Second)
	options := &Options{RetryDelay: 10 * time.Second, MaxRetryDelay: time.Minute, MaxAge: time.Hour}
	failure := func(f wire.Failure) wire.Reply { return wire.Reply{Failure: &f} }
	retry := failure(wire.Failure{Retry: wire.RetryLater()})
	retryAt := func(t time.Time) wire.Reply { return failure(wire.Failure{Retry: wire.RetryAt(t)}) }
	unknown := failure(wire.Failure{Retry: wire.RetryNever(), Unknown: true})
	silent := failure(wire.Failure{Retry: wire.RetryNever(), Unknown: true, Silent: true})
	safe := func(j *ledger.Job) { j.Safe = true }
	slow := func(j *ledger.Job) { j.Settle = 30 * time.Second }
	third := func(j *ledger.Job) { j.Attempt.Number = 3 }
	old := func(j *ledger.Job) { j.QueuedAt = now.Add(-options.MaxAge - time.Second) }
	nearlyOld := func(j *ledger.Job) { j.QueuedAt = now.Add(9*time.Second - options.MaxAge) }
	lost := func(j *ledger.Job) { j.Lost = 1 }
	replayed := func(j *ledger.Job) { j.CreatedAt = now.Add(-100 * time.Hour) }

	again := func(after time.Duration) ledger.Ending {
		return ledger.Ending{State: ledger.Queued, DueAt: now.Add(after)}
	}
	dead := func(class ledger.Class) ledger.Ending { return ledger.Ending{State: ledger.Dead, Class: class} }
	withLost := func(e ledger.Ending) ledger.Ending { e.Lost = true; return e }
	notRun := ledger.Ending{State: ledger.Queued, DueAt: begun.Add(-time.Second), NotRun: true}
	done := ledger.Ending{State: ledger.Done, Data: json.RawMessage(`{"ok":1}`)}
	type edits []func(*ledger.Job)

	for name, tt := range map[string]struct {
		edits edits
		reply wire.Reply
		err   error
		want  ledger.Ending
	}{
		"ok":                                {nil, wire.Reply{Data: json.RawMessage(`{"ok":1}`)}, nil, done},
		"ok at the last attempt":            {edits{third}, wire.Reply{Data: json.RawMessage(`{"ok":1}`)}, nil, done},
		"ok however old":                    {edits{old}, wire.Reply{Data: json.RawMessage(`{"ok":1}`)}, nil, done},
		"no worker":                         {nil, wire.Reply{}, dispatch.ErrNoWorker, notRun},
		"no worker at the last attempt":     {edits{third}, wire.Reply{}, dispatch.ErrNoWorker, notRun},
		"workers busy":                      {nil, wire.Reply{}, dispatch.ErrBusy, notRun},
		"disconnected":                      {nil, wire.Reply{}, fmt.Errorf("%w: closed", dispatch.ErrDisconnected), notRun},
		"stopped before it was sent":        {nil, wire.Reply{}, dispatch.ErrStopping, notRun},
		"no worker, too old":                {edits{old}, wire.Reply{}, dispatch.ErrNoWorker, dead(ledger.Expired)},
		"no worker, replayed":               {edits{replayed}, wire.Reply{}, dispatch.ErrNoWorker, notRun},
		"too old to begin":                  {edits{old}, wire.Reply{}, errTooOld, dead(ledger.Expired)},
		"too large":                         {nil, wire.Reply{}, fmt.Errorf("ask: %w", &dispatch.TooLargeError{Size: 2, Limit: 1}), dead(ledger.TooLarge)},
		"connector deleted":                 {nil, wire.Reply{}, &Gone{Class: ledger.Deleted}, dead(ledger.Deleted)},
		"type disabled":                     {nil, wire.Reply{}, fmt.Errorf("load: %w", &Gone{Class: ledger.Disabled}), dead(ledger.Disabled)},
		"failure without advice":            {nil, failure(wire.Failure{}), nil, dead(ledger.Refused)},
		"failure never to be retried":       {nil, failure(wire.Failure{Retry: wire.RetryNever()}), nil, dead(ledger.Refused)},
		"failure to be retried":             {nil, retry, nil, again(10 * time.Second)},
		"retry date later than backoff":     {nil, retryAt(now.Add(5 * time.Minute)), nil, again(5 * time.Minute)},
		"retry date sooner than backoff":    {nil, retryAt(now.Add(time.Second)), nil, again(10 * time.Second)},
		"retry date later than the age":     {nil, retryAt(now.Add(2 * time.Hour)), nil, dead(ledger.Expired)},
		"backoff later than the age":        {edits{nearlyOld}, retry, nil, dead(ledger.Expired)},
		"failure of what was replayed":      {edits{replayed}, retry, nil, again(10 * time.Second)},
		"attempts used up":                  {edits{third}, retry, nil, dead(ledger.Exhausted)},
		"attempts used up, and a date":      {edits{third}, retryAt(now.Add(2 * time.Hour)), nil, dead(ledger.Exhausted)},
		"refused at the last attempt":       {edits{third}, failure(wire.Failure{Retry: wire.RetryNever()}), nil, dead(ledger.Refused)},
		"unknown and safe":                  {edits{safe}, unknown, nil, again(10 * time.Second)},
		"unknown and safe, in a while":      {edits{safe, slow}, unknown, nil, again(30 * time.Second)},
		"to be retried, no while":           {edits{safe, slow}, retry, nil, again(10 * time.Second)},
		"unknown and not safe":              {nil, unknown, nil, dead(ledger.Unknown)},
		"unknown, not safe, advised":        {nil, failure(wire.Failure{Retry: wire.RetryLater(), Unknown: true}), nil, dead(ledger.Unknown)},
		"unknown, safe, at a date":          {edits{safe}, failure(wire.Failure{Retry: wire.RetryAt(now.Add(time.Minute)), Unknown: true}), nil, again(time.Minute)},
		"unknown and safe, used up":         {edits{safe, third}, unknown, nil, dead(ledger.Exhausted)},
		"unknown and safe, later than age":  {edits{safe, nearlyOld}, unknown, nil, dead(ledger.Expired)},
		"silent worker and safe":            {edits{safe}, silent, nil, withLost(again(10 * time.Second))},
		"silent worker and not safe":        {nil, silent, nil, withLost(dead(ledger.Unknown))},
		"second silent worker":              {edits{safe, lost}, silent, nil, withLost(dead(ledger.Poison))},
		"second silent worker, not safe":    {edits{lost}, silent, nil, withLost(dead(ledger.Poison))},
		"silent worker before, now unknown": {edits{safe, lost}, unknown, nil, again(10 * time.Second)},
	} {
		job := &ledger.Job{Execution: ledger.Execution{
			Seq: 7, MaxAttempts: 3, CreatedAt: begun.Add(-time.Minute), QueuedAt: begun.Add(-time.Minute),
			Attempt: ledger.Attempt{Number: 1, DueAt: begun.Add(-time.Second), StartedAt: begun, Queue: time.Second},
		}}
		for _, edit := range tt.edits {
			edit(job)
		}
		tt.want.Seq = 7
		got := decide(job, tt.reply, tt.err, now, options, most)
		if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(ledger.Ending{}, "Attempt")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got.Attempt.Last != (got.State != ledger.Queued) {
			t.Errorf("%s: Last is %t and the state %s", name, got.Attempt.Last, got.State)
		}
	}
}

func TestAnAttemptIsRecordedAsItWas(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	claimed := ledger.Attempt{Number: 2, DueAt: begun.Add(-time.Second), StartedAt: begun, Queue: time.Second}
	options := &Options{RetryDelay: time.Second, MaxRetryDelay: time.Second, MaxAge: time.Hour}
	failure := &wire.Failure{Message: "m", ServiceMessage: "s", Retry: wire.RetryLater(), Source: wire.User}
	for name, tt := range map[string]struct {
		reply wire.Reply
		err   error
		edit  func(*ledger.Attempt)
	}{
		"ok": {wire.Reply{Worker: "w1", RunMicros: 30_000}, nil, func(a *ledger.Attempt) {
			a.Outcome, a.Worker, a.Run, a.Dispatch, a.Last = wire.OK, "w1", 30*time.Millisecond, 10*time.Millisecond, true
		}},
		"a worker whose clock runs fast": {wire.Reply{Worker: "w1", RunMicros: 50_000}, nil, func(a *ledger.Attempt) {
			a.Outcome, a.Worker, a.Run, a.Last = wire.OK, "w1", 40*time.Millisecond, true
		}},
		"failure": {wire.Reply{Worker: "w1", RunMicros: 1000, Failure: failure}, nil, func(a *ledger.Attempt) {
			a.Outcome, a.Worker, a.Run, a.Dispatch, a.Failure = wire.Error, "w1", time.Millisecond, 39*time.Millisecond, failure
		}},
		"not run": {wire.Reply{}, &Gone{Class: ledger.Deleted, Message: "the connector is gone"}, func(a *ledger.Attempt) {
			a.Outcome, a.Dispatch, a.Last = wire.Error, 40*time.Millisecond, true
			a.Failure = &wire.Failure{
				Message: "an error occurred while running the action", ServiceMessage: "the connector is gone",
				Retry: wire.RetryNever(), Source: wire.Framework,
			}
		}},
	} {
		job := &ledger.Job{Execution: ledger.Execution{MaxAttempts: 3, QueuedAt: begun, Attempt: claimed}}
		want := claimed
		want.EndedAt = begun.Add(40 * time.Millisecond)
		tt.edit(&want)
		got := decide(job, tt.reply, tt.err, want.EndedAt, options, none).Attempt
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b wire.Retry) bool { return a == b })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
