package api

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"patchbay.dev/api/ledger"
)

// finisher records how executions ended that somebody waited for. While the disk is
// full it goes on trying when they have their answers.
type finisher struct {
	record func(ledger.Ending) error
	giveUp context.CancelFunc
	log    *slog.Logger
	behind sync.WaitGroup
}

// patience is how long an answer is held back until it is on record.
const patience = time.Second

func newFinisher(l *ledger.Ledger, log *slog.Logger) *finisher {
	ctx, giveUp := context.WithCancel(context.Background())
	return &finisher{record: func(e ledger.Ending) error { return l.End(ctx, e) }, giveUp: giveUp, log: log}
}

// end returns when the ending is on disk, or after a while.
func (f *finisher) end(e ledger.Ending) {
	done := make(chan struct{})
	f.behind.Go(func() {
		defer close(done)
		if err := f.record(e); err != nil {
			f.log.Error("how an execution ended was not kept; it will count as unknown", "error", err)
		}
	})
	select {
	case <-done:
	case <-time.After(patience):
	}
}

// close gives what is yet to be recorded a last while.
func (f *finisher) close() {
	defer time.AfterFunc(lastWords, f.giveUp).Stop()
	f.behind.Wait()
	f.giveUp()
}
