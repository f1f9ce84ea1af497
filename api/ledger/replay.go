package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"patchbay.dev/shared/wire"
)

// replayPiece is how many dead letters are replayed in one transaction.
const replayPiece = 500

// maxSpread is how far [Ledger.Replay] puts off what it spreads.
const maxSpread = 30 * 24 * time.Hour

// Replay queues dead letters again, under their ids and keys, with as many further
// attempts as they had at first; perSecond spreads them over 30 days at the most, 0 for
// at once. access replaces the one they were accepted with; nil leaves it. With dryRun
// they are only counted. Those without params are skipped and counted apart. [ErrFull]
// and [ErrConnectorFull] end it; what was replayed until then is.
func (l *Ledger) Replay(ctx context.Context, f Filter, perSecond float64, dryRun bool, access *wire.Access) (replayed, skipped int, err error) {
	limit, err := accessText(access)
	if err != nil {
		return 0, 0, err
	}
	f.States = []State{Dead}
	letters, skipped, err := l.letters(ctx, &f)
	if err != nil {
		return 0, 0, fmt.Errorf("select dead letters: %w", explain(err))
	}
	if dryRun {
		return len(letters), skipped, nil
	}
	begin := l.options.now()
	for piece := range slices.Chunk(letters, replayPiece) {
		n, err := l.replayPiece(ctx, piece, limit, func(i int) time.Time { return begin.Add(spread(replayed+i, perSecond)) })
		replayed += n
		if err != nil {
			return replayed, skipped, err
		}
	}
	return replayed, skipped, nil
}

// spread is how long after the first the i-th dead letter is due.
func spread(i int, perSecond float64) time.Duration {
	if perSecond <= 0 {
		return 0
	}
	return time.Duration(min(float64(i)/perSecond, maxSpread.Seconds()) * float64(time.Second))
}

// letters returns the dead letters that f selects and that can be replayed, the oldest
// first, and how many cannot.
func (l *Ledger) letters(ctx context.Context, f *Filter) (seqs []int64, skipped int, err error) {
	where := f.where("e")
	query := fmt.Sprintf(`SELECT e.seq, e.replayable FROM %s WHERE %s ORDER BY e.seq`, f.from(), where)
	rows, err := l.lists.QueryContext(ctx, query, where.args...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		var replayable bool
		if err := rows.Scan(&seq, &replayable); err != nil {
			return nil, 0, err
		}
		if !replayable {
			skipped++
			continue
		}
		seqs = append(seqs, seq)
	}
	return seqs, skipped, rows.Err()
}

// replayPiece replays dead letters; access is as in [group.replay], and due says when the
// i-th of them is.
func (l *Ledger) replayPiece(ctx context.Context, seqs []int64, access string, due func(i int) time.Time) (replayed int, err error) {
	var full error
	err = l.do(ctx, &op{weight: len(seqs), apply: func(g *group) error {
		replayed, full = 0, nil
		for _, seq := range seqs {
			again, err := g.replay(seq, due(replayed), access)
			if errors.Is(err, ErrFull) || errors.Is(err, ErrConnectorFull) {
				full = err
				return nil // those before stay
			}
			if err != nil {
				return fmt.Errorf("replay a dead letter: %w", err)
			}
			if again {
				replayed++
			}
		}
		return nil
	}})
	if err != nil {
		return 0, err
	}
	return replayed, full
}

const (
	selectLetter = `SELECT space, connector_id, type FROM execution WHERE seq = ? AND state = 'dead' AND replayable = 1`
	replay       = `UPDATE execution SET state = 'queued', class = '', queued_at = ?, due_at = ?, max_attempts = attempt + attempts,
		lost = 0, replayable = 0 WHERE seq = ?`
	replaceAccess = `UPDATE payload SET access = ? WHERE seq = ?`
)

// replay queues a dead letter; false if it is none any more. It may wait for long until
// it is due: its age counts from then. access is JSON; "" leaves the one it has.
func (g *group) replay(seq int64, due time.Time, access string) (bool, error) {
	var p place
	if err := g.row(selectLetter, seq).Scan(&p.space, &p.connector, &p.typeID); err != nil {
		return false, ignoreNoRows(err)
	}
	if err := g.room(p); err != nil {
		return false, err
	}
	g.count(p, 1, 1)
	_, err := g.exec(replay, micros(due), micros(due), seq)
	if err == nil && access != "" {
		_, err = g.exec(replaceAccess, access, seq)
	}
	return err == nil, err
}

// ReplayOne is Replay of one; [ErrNotFound], [ErrNotDead], [ErrNoParams], [ErrFull],
// [ErrConnectorFull].
func (l *Ledger) ReplayOne(ctx context.Context, space, id string, access *wire.Access) (Execution, error) {
	limit, err := accessText(access)
	if err != nil {
		return Execution{}, err
	}
	var e Execution
	var refusal error
	err = l.do(ctx, &op{weight: 1, apply: func(g *group) (err error) {
		e, refusal, err = g.replayOne(space, id, limit)
		if err != nil {
			err = fmt.Errorf("replay a dead letter: %w", err)
		}
		return err
	}})
	if err == nil {
		err = refusal
	}
	return e, err
}

func (g *group) replayOne(space, id, access string) (_ Execution, refusal, err error) {
	var r row
	err = g.row(selectByID, space, id).Scan(r.dest()...)
	switch {
	case noRows(err):
		return Execution{}, ErrNotFound, nil
	case err != nil:
		return Execution{}, nil, err
	case r.State != Dead:
		return Execution{}, ErrNotDead, nil
	case !r.Replayable:
		return Execution{}, ErrNoParams, nil
	}
	if refusal := g.room(place{r.Space, r.ConnectorID, r.Type}); refusal != nil {
		return Execution{}, refusal, nil
	}
	if _, err := g.replay(r.Seq, g.now, access); err != nil {
		return Execution{}, nil, err
	}
	err = g.row(selectByID, space, id).Scan(r.dest()...)
	return r.execution(), nil, err
}
