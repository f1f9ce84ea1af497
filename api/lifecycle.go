package api

import (
	"context"
	"fmt"
	"time"

	"patchbay.dev/api/ledger"
	"patchbay.dev/api/queue"
	"patchbay.dev/shared/seal"
)

// ackWait is how long nobody need be heard of with a ticket of the queue.
const ackWait = 30 * time.Second

// openLedger opens the database of executions, which only the process may that has
// the directory to itself.
func (s *server) openLedger(ctx context.Context) (err error) {
	c := &s.config
	options := ledger.Options{
		MaxQueued: c.MaxQueued, MaxQueuedPerConnector: c.MaxQueuedPerConnector, KeyAge: c.IdempotencyAge,
		LogAge: c.LogAge, LogCount: c.LogCount, DeadAge: c.DeadLetterAge,
	}
	if s.keeper.key != nil && !c.DeadLetterParamsOff {
		options.SealParams = s.sealParams
	}
	if s.ledger, err = ledger.Open(ctx, c.DataDir, options); err != nil {
		return fmt.Errorf("PATCHBAY_DATA_DIR: %s: %w", ledger.FileName, err)
	}
	if r := s.ledger.Recovered(); r != (ledger.Recovered{}) {
		s.log.Warn("executions were running when the api before this one ended; their outcomes are unknown",
			"queued_again", r.Queued, "dead_letters", r.Dead, "answered_at_once", r.Unknown)
	}
	s.finisher = newFinisher(s.ledger, s.log)
	return nil
}

// closeLedger writes what waits.
func (s *server) closeLedger() error {
	s.finisher.close()
	return s.ledger.Close()
}

// lostEvery is how often it is told that the log of executions lost some.
const lostEvery = 30 * time.Second

// watchLog tells the operator what the log of executions lost, until ctx ends.
func (s *server) watchLog(ctx context.Context) {
	tick := time.NewTicker(lostEvery)
	defer tick.Stop()
	for told := uint64(0); ; {
		if lost := s.ledger.Stats().Dropped; lost > told {
			s.log.Warn("executions are missing in the log: they came faster than they could be written", "executions", lost-told)
			told = lost
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sealParams seals the params of a dead letter to the workers' key.
func (s *server) sealParams(space, connectorID, typeID, executionID string, params []byte) ([]byte, error) {
	key := s.keeper.logged(s.keeper.key.Get())
	return key.Seal(params, seal.ParamsBinding(space, connectorID, typeID, executionID))
}

// startQueue runs queued executions until stop, which gives those that run their grace.
func (s *server) startQueue(ctx context.Context) (stop func() error) {
	c := &s.config
	q := queue.New(s.nc, s.ledger, s.metrics.counting(s.runJob), s.submitLines, queue.Options{
		Slots: c.QueueSlots, Bytes: c.QueueBytes, RetryDelay: c.RetryDelay, MaxRetryDelay: c.MaxRetryDelay, MaxAge: c.QueueMaxAge,
		AckWait: ackWait, Replicas: c.StreamReplicas, MaxSubmitted: c.MaxSubmitted, Grace: c.ShutdownTimeout,
	}, s.log)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // requests in flight end first
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}
