package store

import (
	"context"
	"errors"
	"fmt"

	"patchbay.dev/api/sqlite"
)

const selectSealed = `SELECT ` + columns + ` FROM connector WHERE secrets IS NOT NULL AND id > ? ORDER BY id LIMIT ?`

// Sealed returns connectors of all spaces that have secrets, by id, from the first
// that comes after an id on: at most so many, and no more once they take so many
// bytes. None means that there are no more.
func (s *Store) Sealed(ctx context.Context, after string, count, bytes int) (page []*Connector, err error) {
	rows, err := s.read.QueryxContext(ctx, selectSealed, after, count)
	if err != nil {
		return nil, fmt.Errorf("select connectors with secrets: %w", sqlite.Explain(err))
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for bytes > 0 && rows.Next() {
		var r row
		if err := rows.StructScan(&r); err != nil {
			return nil, fmt.Errorf("select connectors with secrets: %w", sqlite.Explain(err))
		}
		c := r.connector()
		page = append(page, c)
		bytes -= size(c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("select connectors with secrets: %w", sqlite.Explain(err))
	}
	return page, nil
}

const replaceSecrets = `UPDATE connector SET secrets = ? WHERE id = ? AND secrets = ?`

// ReplaceSecrets replaces the sealed secrets of a connector and nothing else, its
// version included. It reports whether they were still those from before.
func (s *Store) ReplaceSecrets(ctx context.Context, id string, before, after []byte) (bool, error) {
	// Nil, so that it is read again: what was read long ago is not all that it is.
	replaced, err := s.change(ctx, id, nil, replaceSecrets, after, id, before)
	if err != nil {
		return false, fmt.Errorf("replace secrets of connector %s: %w", id, sqlite.Explain(err))
	}
	return replaced, nil
}
