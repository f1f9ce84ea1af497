package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"patchbay.dev/api/sqlite"
)

const selectParams = `
SELECT e.space, e.connector_id, e.type, e.id, p.params FROM execution e JOIN payload p ON p.seq = e.seq
WHERE e.seq = ? AND p.params IS NOT NULL`

// sealedParams seals the params of an execution that becomes a dead letter; nil if they
// are sealed already, are not to be kept, or cannot be sealed now: then they are left as
// they are for [Ledger.sealLeft], and do not keep the end from being recorded.
func (l *Ledger) sealedParams(ctx context.Context, e *Ending) (sealed []byte, left bool) {
	if e.State != Dead || l.options.SealParams == nil {
		return nil, false
	}
	var s Sealed
	err := l.read.QueryRowContext(context.WithoutCancel(ctx), selectParams, e.Seq).Scan(&s.Space, &s.ConnectorID, &s.Type, &s.ID, &s.Params)
	if err == nil {
		sealed, err = l.options.SealParams(s.Space, s.ConnectorID, s.Type, s.ID, s.Params)
	}
	if err != nil {
		return nil, !noRows(err)
	}
	return sealed, false
}

// AwaitSealed returns when all params are on disk whose sealing has begun.
func (l *Ledger) AwaitSealed() {
	l.sealing.Lock()
	defer l.sealing.Unlock()
}

// Sealed are the sealed params of an execution.
type Sealed struct {
	Seq                          int64
	Space, ConnectorID, Type, ID string
	Params                       []byte
}

const selectSealed = `
SELECT p.seq, e.space, e.connector_id, e.type, e.id, p.sealed FROM payload p JOIN execution e ON e.seq = p.seq
WHERE p.sealed IS NOT NULL AND p.seq > ? ORDER BY p.seq LIMIT ?`

// SealedParams returns the sealed params of executions of all spaces, in the order of
// Seq, from the first that comes after afterSeq on. None means that there are no more.
func (l *Ledger) SealedParams(ctx context.Context, afterSeq int64, limit int) ([]Sealed, error) {
	return selectSealedParams(ctx, l.read.DB, afterSeq, limit)
}

// ReadSealedParams calls use with the sealed params in the database in dir, which
// another process may have open; without a database there are none.
func ReadSealedParams(ctx context.Context, dir string, use func(Sealed) error) (err error) {
	file := filepath.Join(dir, FileName)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db, err := sqlite.Readers(file, busyTimeout, nil, 1)
	if err != nil {
		return fmt.Errorf("open %s: %w", file, explain(err))
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for after := int64(0); ; {
		page, err := selectSealedParams(ctx, db.DB, after, sealPiece)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, s := range page {
			if err := use(s); err != nil {
				return err
			}
		}
		after = page[len(page)-1].Seq
	}
}

func selectSealedParams(ctx context.Context, db *sql.DB, afterSeq int64, limit int) ([]Sealed, error) {
	page, err := paramsOf(ctx, db, selectSealed, afterSeq, limit)
	if err != nil {
		return nil, fmt.Errorf("select sealed params: %w", explain(err))
	}
	return page, nil
}

func paramsOf(ctx context.Context, db *sql.DB, query string, args ...any) ([]Sealed, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []Sealed
	for rows.Next() {
		var s Sealed
		if err := rows.Scan(&s.Seq, &s.Space, &s.ConnectorID, &s.Type, &s.ID, &s.Params); err != nil {
			return nil, err
		}
		page = append(page, s)
	}
	return page, rows.Err()
}

const replaceParams = `UPDATE payload SET sealed = ? WHERE seq = ? AND sealed = ?`

// ReplaceParams replaces the sealed params of an execution. It reports whether they were
// still those from before.
func (l *Ledger) ReplaceParams(ctx context.Context, seq int64, before, after []byte) (bool, error) {
	var replaced bool
	err := l.do(ctx, &op{weight: 1, bytes: len(after), apply: func(g *group) (err error) {
		if replaced, err = g.change(replaceParams, after, seq, before); err != nil {
			err = fmt.Errorf("replace sealed params: %w", err)
		}
		return err
	}})
	return replaced && err == nil, err
}

// sealPiece is how many dead letters are sealed in one transaction.
const sealPiece = 100

const (
	selectUnsealed = `
SELECT e.seq, e.space, e.connector_id, e.type, e.id, p.params
FROM execution e INDEXED BY execution_dead JOIN payload p ON p.seq = e.seq
WHERE e.state = 'dead' AND p.params IS NOT NULL AND e.seq > ? ORDER BY e.seq LIMIT ?`
	sealUnsealed = `UPDATE payload SET params = NULL, sealed = ?
		WHERE seq = ? AND EXISTS (SELECT 1 FROM execution e WHERE e.seq = payload.seq AND e.state = 'dead')`
	forgetUnsealed = `DELETE FROM payload
		WHERE seq = ? AND EXISTS (SELECT 1 FROM execution e WHERE e.seq = payload.seq AND e.state = 'dead')`
	notReplayable = `UPDATE execution SET replayable = 0 WHERE seq = ? AND state = 'dead'`
)

// sealLeft seals the params of dead letters that are not: of those that were running
// when the process before ended, and those that could not be sealed when they died.
func (l *Ledger) sealLeft(ctx context.Context) error {
	if !l.unsealed.Swap(false) {
		return nil
	}
	err := l.sealAll(ctx)
	if err != nil {
		l.unsealed.Store(true)
	}
	return err
}

func (l *Ledger) sealAll(ctx context.Context) error {
	for after := int64(0); ; {
		page, err := paramsOf(ctx, l.read.DB, selectUnsealed, after, sealPiece)
		if err != nil {
			return fmt.Errorf("select params that are not sealed: %w", explain(err))
		}
		if len(page) == 0 {
			return nil
		}
		after = page[len(page)-1].Seq
		if err := l.sealPage(ctx, page); err != nil {
			return err
		}
	}
}

func (l *Ledger) sealPage(ctx context.Context, page []Sealed) error {
	l.sealing.RLock()
	defer l.sealing.RUnlock()
	for i := range page {
		if l.options.SealParams == nil {
			page[i].Params = nil
			continue
		}
		sealed, err := l.options.SealParams(page[i].Space, page[i].ConnectorID, page[i].Type, page[i].ID, page[i].Params)
		if err != nil {
			return fmt.Errorf("seal the params of a dead letter: %w", err)
		}
		page[i].Params = sealed
	}
	return l.do(ctx, &op{weight: len(page), apply: func(g *group) error {
		for _, s := range page {
			if err := g.keepSealed(s); err != nil {
				return fmt.Errorf("seal the params of a dead letter: %w", err)
			}
		}
		return nil
	}})
}

func (g *group) keepSealed(s Sealed) error {
	if s.Params != nil {
		_, err := g.exec(sealUnsealed, s.Params, s.Seq)
		return err
	}
	if _, err := g.exec(forgetUnsealed, s.Seq); err != nil {
		return err
	}
	_, err := g.exec(notReplayable, s.Seq)
	return err
}
