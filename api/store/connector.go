package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"patchbay.dev/api/sqlite"
)

// Errors that callers tell apart.
var (
	ErrNotFound = errors.New("no such connector")
	ErrConflict = errors.New("a connector with this id exists, or it was changed at the same time")
	ErrFull     = errors.New("the space holds as many connectors as it may")
)

// Connector is a stored connector. Values that the store returns are shared: do
// not change them.
type Connector struct {
	ID      string
	Space   string
	Type    string // with its dot
	Name    string
	Config  json.RawMessage // as it was given to Create or Update, byte for byte
	Secrets []byte          // sealed; nil for none
	Version int64           // 1, and 1 more with every update
}

// row is how a connector stands in the database: JSON as TEXT is a string in Go,
// or SQLite would store a BLOB.
type row struct {
	ID      string `db:"id"`
	Space   string `db:"space"`
	Type    string `db:"type"`
	Name    string `db:"name"`
	Config  string `db:"config"`
	Secrets []byte `db:"secrets"`
	Version int64  `db:"version"`
}

func (r *row) connector() *Connector {
	return &Connector{
		ID:      r.ID,
		Space:   r.Space,
		Type:    r.Type,
		Name:    r.Name,
		Config:  json.RawMessage(r.Config),
		Secrets: r.Secrets,
		Version: r.Version,
	}
}

const insertConnector = `
INSERT INTO connector (id, space, type, name, config, secrets, version, created_at, updated_at)
SELECT ?, ?, ?, ?, ?, ?, 1, ?, ?
WHERE (SELECT count(*) FROM connector WHERE space = ?) < ?`

// Create stores c as version 1 and returns it. The id must be free in every
// space: [ErrConflict] otherwise. [ErrFull] if the space is.
func (s *Store) Create(ctx context.Context, c Connector) (*Connector, error) {
	now := time.Now().UnixMilli()
	c.Version = 1
	changed, err := s.change(ctx, c.ID, &c, insertConnector, c.ID, c.Space, c.Type, c.Name, string(c.Config), c.Secrets,
		now, now, c.Space, s.options.MaxConnectors)
	if sqlite.IsConflict(err) {
		return nil, ErrConflict
	}
	if err != nil {
		return nil, fmt.Errorf("insert connector %s: %w", c.ID, sqlite.Explain(err))
	}
	if !changed {
		return nil, ErrFull
	}
	return &c, nil
}

const updateConnector = `
UPDATE connector SET name = ?, config = ?, secrets = ?, version = version + 1, updated_at = ?
WHERE id = ? AND space = ? AND type = ? AND version = ?`

// Update replaces name, config and secrets of the connector that c.ID and
// c.Space name and returns it. c.Type and c.Version are those that were read
// before; if they are no longer the stored ones the error is [ErrConflict].
func (s *Store) Update(ctx context.Context, c Connector) (*Connector, error) {
	before := c.Version
	c.Version++
	changed, err := s.change(ctx, c.ID, &c, updateConnector, c.Name, string(c.Config), c.Secrets, time.Now().UnixMilli(),
		c.ID, c.Space, c.Type, before)
	if err != nil {
		return nil, fmt.Errorf("update connector %s: %w", c.ID, sqlite.Explain(err))
	}
	if !changed {
		return nil, ErrConflict
	}
	return &c, nil
}

const deleteConnector = `DELETE FROM connector WHERE id = ? AND space = ?`

// Delete removes a connector, or returns [ErrNotFound].
func (s *Store) Delete(ctx context.Context, space, id string) error {
	changed, err := s.change(ctx, id, nil, deleteConnector, id, space)
	if err != nil {
		return fmt.Errorf("delete connector %s: %w", id, sqlite.Explain(err))
	}
	if !changed {
		return ErrNotFound
	}
	return nil
}

// change executes a statement on the connector id and brings the cache up to
// date before anyone can be answered: after is what the connector then is, nil
// for gone. It reports whether a row was changed.
func (s *Store) change(ctx context.Context, id string, after *Connector, statement string, args ...any) (bool, error) {
	// One at a time, as in SQLite itself, so that the cache sees changes in the
	// order of their commits.
	s.changing.Lock()
	defer s.changing.Unlock()
	// A client that goes away during the commit must not leave the cache behind.
	result, err := s.write.ExecContext(context.WithoutCancel(ctx), statement, args...)
	if err != nil {
		s.cache.set(id, nil) // whatever it is now, it will be read again
		return false, err
	}
	n, err := result.RowsAffected()
	if n > 0 {
		s.cache.set(id, after)
	}
	return n > 0, err
}

const columns = `id, space, type, name, config, secrets, version`

const selectConnector = `SELECT ` + columns + ` FROM connector WHERE id = ?`

// Get returns a connector from memory or, the first time, from the database, or
// [ErrNotFound]; a connector of another space is not found.
func (s *Store) Get(ctx context.Context, space, id string) (*Connector, error) {
	c, generation := s.cache.get(id)
	if c == nil {
		var r row
		// A context that can end costs a third of SQLite's read rate.
		err := s.read.GetContext(context.WithoutCancel(ctx), &r, selectConnector, id)
		if noRows(err) {
			return nil, ErrNotFound
		}
		if err != nil {
			return nil, fmt.Errorf("select connector %s: %w", id, sqlite.Explain(err))
		}
		c = r.connector()
		s.cache.fill(c, generation)
	}
	if c.Space != space {
		return nil, ErrNotFound
	}
	return c, nil
}

const selectConnectors = `SELECT ` + columns + ` FROM connector WHERE space = ? ORDER BY created_at, id`

// List returns the connectors of a space, the oldest first.
func (s *Store) List(ctx context.Context, space string) ([]*Connector, error) {
	var rows []row
	if err := s.read.SelectContext(ctx, &rows, selectConnectors, space); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("select connectors of space %s: %w", space, sqlite.Explain(err))
	}
	connectors := make([]*Connector, len(rows))
	for i := range rows {
		connectors[i] = rows[i].connector()
	}
	return connectors, nil
}
