package ledger

import (
	"context"
	"fmt"
)

// Discard ends an execution for good and forgets its params: a dead letter is Done, and
// one that is queued is Done and cancelled. [ErrNotFound], [ErrRunning]; discarding what is
// Done changes nothing.
func (l *Ledger) Discard(ctx context.Context, space, id string) error {
	var refusal error
	err := l.do(ctx, &op{weight: 1, apply: func(g *group) (err error) {
		if refusal, err = g.discard(space, id); err != nil {
			err = fmt.Errorf("discard an execution: %w", err)
		}
		return err
	}})
	if err != nil {
		return err
	}
	return refusal
}

const (
	discardDead = `UPDATE execution SET state = 'done', replayable = 0 WHERE seq = ?`
	// The last attempt keeps its own outcome: it goes to those before.
	discardQueued = `UPDATE execution SET state = 'done', started_at = 0, ended_at = ?, queue_us = 0, dispatch_us = 0, run_us = 0,
		outcome = 'cancelled', message = '', service_message = '', retry = '', source = '', worker = '' WHERE seq = ?`
)

func (g *group) discard(space, id string) (refusal, err error) {
	var r row
	err = g.row(selectByID, space, id).Scan(r.dest()...)
	switch {
	case noRows(err):
		return ErrNotFound, nil
	case err != nil:
		return nil, err
	case r.State == Running:
		return ErrRunning, nil
	case r.State == Done:
		return nil, nil
	case r.State == Dead:
		_, err = g.exec(discardDead, r.Seq)
	default:
		g.count(place{r.Space, r.ConnectorID, r.Type}, -1, -1)
		g.end(r.Space, r.ID, true)
		if _, err = g.exec(insertAttempt, r.Seq); err == nil {
			_, err = g.exec(discardQueued, micros(g.now), r.Seq)
		}
	}
	if err == nil {
		_, err = g.exec(deletePayload, r.Seq)
	}
	return nil, err
}
