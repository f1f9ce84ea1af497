package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"patchbay.dev/api/access"
	"patchbay.dev/api/sqlite"
)

// Errors about keys that callers tell apart.
var (
	ErrNoKey    = errors.New("no such API key")
	ErrKeysFull = errors.New("there are as many API keys as there may be")
)

type keyRow struct {
	ID         string `db:"id"`
	Name       string `db:"name"`
	Hash       []byte `db:"hash"`
	Privileges string `db:"privileges"`
	CreatedAt  int64  `db:"created_at"`
	ExpiresAt  *int64 `db:"expires_at"`
	LastUsedAt *int64 `db:"last_used_at"`
}

func (r *keyRow) key() (access.Key, error) {
	key := access.Key{
		ID: r.ID, Name: r.Name, Created: time.UnixMilli(r.CreatedAt), Expires: timeOf(r.ExpiresAt), LastUsed: timeOf(r.LastUsedAt),
	}
	if copy(key.Hash[:], r.Hash) != len(key.Hash) || len(r.Hash) != len(key.Hash) {
		return access.Key{}, fmt.Errorf("API key %s: a hash of %d bytes", r.ID, len(r.Hash))
	}
	if err := json.Unmarshal([]byte(r.Privileges), &key.Privileges); err != nil {
		return access.Key{}, fmt.Errorf("API key %s: %w", r.ID, err)
	}
	return key, nil
}

func timeOf(millis *int64) time.Time {
	if millis == nil {
		return time.Time{}
	}
	return time.UnixMilli(*millis)
}

func millisOf(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(t.UnixMilli())
}

const insertKey = `
INSERT INTO api_key (id, name, hash, privileges, created_at, expires_at)
SELECT ?, ?, ?, ?, ?, ?
WHERE (SELECT count(*) FROM api_key) < ?`

// CreateKey stores a key, or returns [ErrKeysFull].
func (s *Store) CreateKey(ctx context.Context, key access.Key) error {
	privileges, err := json.Marshal(key.Privileges)
	if err != nil {
		return fmt.Errorf("encode privileges: %w", err)
	}
	result, err := s.write.ExecContext(ctx, insertKey, key.ID, key.Name, key.Hash[:], string(privileges),
		key.Created.UnixMilli(), millisOf(key.Expires), s.options.MaxKeys)
	if err != nil {
		return fmt.Errorf("insert API key: %w", sqlite.Explain(err))
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrKeysFull)
	}
	return nil
}

const selectKeys = `SELECT id, name, hash, privileges, created_at, expires_at, last_used_at FROM api_key`

// Key returns a key, or [ErrNoKey].
func (s *Store) Key(ctx context.Context, id string) (access.Key, error) {
	var r keyRow
	err := s.read.GetContext(context.WithoutCancel(ctx), &r, selectKeys+` WHERE id = ?`, id)
	if noRows(err) {
		return access.Key{}, ErrNoKey
	}
	if err != nil {
		return access.Key{}, fmt.Errorf("select API key: %w", sqlite.Explain(err))
	}
	return r.key()
}

// Keys returns all keys, the oldest first.
func (s *Store) Keys(ctx context.Context) ([]access.Key, error) {
	var rows []keyRow
	if err := s.read.SelectContext(ctx, &rows, selectKeys+` ORDER BY created_at, name, id`); err != nil {
		return nil, fmt.Errorf("select API keys: %w", sqlite.Explain(err))
	}
	keys := make([]access.Key, len(rows))
	for i := range rows {
		var err error
		if keys[i], err = rows[i].key(); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// HasKeys reports whether there is any key, expired ones included.
func (s *Store) HasKeys(ctx context.Context) (bool, error) {
	var some bool
	if err := s.read.GetContext(context.WithoutCancel(ctx), &some, `SELECT EXISTS (SELECT 1 FROM api_key)`); err != nil {
		return false, fmt.Errorf("look for API keys: %w", sqlite.Explain(err))
	}
	return some, nil
}

const deleteKeys = `DELETE FROM api_key WHERE id IN (?) RETURNING id`

// DeleteKeys removes those of the keys that there are, and returns their ids.
func (s *Store) DeleteKeys(ctx context.Context, ids []string) ([]string, error) {
	deleted := []string{}
	if len(ids) == 0 {
		return deleted, nil
	}
	statement, args, err := sqlx.In(deleteKeys, ids)
	if err != nil {
		return nil, fmt.Errorf("delete API keys: %w", err)
	}
	if err := s.write.SelectContext(context.WithoutCancel(ctx), &deleted, statement, args...); err != nil {
		return nil, fmt.Errorf("delete API keys: %w", sqlite.Explain(err))
	}
	return deleted, nil
}

const markKeyUsed = `UPDATE api_key SET last_used_at = ? WHERE id = ?`

// MarkKeysUsed keeps when each key was used last, in one transaction.
func (s *Store) MarkKeysUsed(ctx context.Context, used map[string]time.Time) error {
	if len(used) == 0 {
		return nil
	}
	tx, err := s.write.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("mark API keys as used: %w", sqlite.Explain(err))
	}
	defer func() { _ = tx.Rollback() }() // without effect after the commit
	for id, when := range used {
		if _, err := tx.ExecContext(ctx, markKeyUsed, when.UnixMilli(), id); err != nil {
			return fmt.Errorf("mark API keys as used: %w", sqlite.Explain(err))
		}
	}
	return tx.Commit()
}
