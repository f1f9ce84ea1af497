package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"patchbay.dev/api/sqlite"
)

// Errors that callers tell apart.
var (
	ErrNoSpace     = errors.New("no such space")
	ErrSpaceExists = errors.New("a space with this id exists")
	ErrManySpaces  = errors.New("there are as many spaces as there may be")
)

// Space is what is kept of a space: how people see it. Connectors live in spaces
// that have none, too.
type Space struct {
	ID               string   `db:"id"`
	Name             string   `db:"name"`
	Description      *string  `db:"description"` // nil in this and the next four: never set
	Color            *string  `db:"color"`
	Initials         *string  `db:"initials"`
	ImageURL         *string  `db:"image_url"`
	Solution         *string  `db:"solution"`
	DisabledFeatures []string `db:"-"` // never nil when it comes from the store
}

// spaceRow is how a space stands in the database.
type spaceRow struct {
	Space
	Features string `db:"disabled_features"`
}

func (r *spaceRow) space() (*Space, error) {
	if err := json.Unmarshal([]byte(r.Features), &r.DisabledFeatures); err != nil {
		return nil, fmt.Errorf("read disabled features of space %s: %w", r.ID, err)
	}
	return &r.Space, nil
}

// featuresText returns disabled features as they are stored: an array, also if
// there are none.
func featuresText(features []string) (string, error) {
	text, err := json.Marshal(append([]string{}, features...))
	if err != nil {
		return "", fmt.Errorf("encode disabled features: %w", err)
	}
	return string(text), nil
}

const insertSpace = `
INSERT INTO space (id, name, description, color, initials, image_url, solution, disabled_features, created_at, updated_at)
SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
WHERE (SELECT count(*) FROM space) < ?`

// CreateSpace stores a space, or returns [ErrManySpaces] or [ErrSpaceExists].
func (s *Store) CreateSpace(ctx context.Context, space Space) error {
	features, err := featuresText(space.DisabledFeatures)
	if err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	result, err := s.write.ExecContext(context.WithoutCancel(ctx), insertSpace, space.ID, space.Name, space.Description,
		space.Color, space.Initials, space.ImageURL, space.Solution, features, now, now, s.options.MaxSpaces)
	if sqlite.IsConflict(err) {
		return ErrSpaceExists
	}
	if err != nil {
		return fmt.Errorf("insert space %s: %w", space.ID, sqlite.Explain(err))
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return cmp.Or(err, ErrManySpaces)
	}
	return nil
}

const spaceColumns = `id, name, description, color, initials, image_url, solution, disabled_features`

const updateSpace = `
UPDATE space SET name = ?, description = coalesce(?, description), color = coalesce(?, color),
    initials = coalesce(?, initials), image_url = coalesce(?, image_url), solution = coalesce(?, solution),
    disabled_features = ?, updated_at = ?
WHERE id = ?
RETURNING ` + spaceColumns

// UpdateSpace replaces name and disabled features of the space that space.ID
// names, and of the rest what is not nil. It returns what the space then is, or
// [ErrNoSpace].
func (s *Store) UpdateSpace(ctx context.Context, space Space) (*Space, error) {
	features, err := featuresText(space.DisabledFeatures)
	if err != nil {
		return nil, err
	}
	var r spaceRow
	err = s.write.GetContext(context.WithoutCancel(ctx), &r, updateSpace, space.Name, space.Description, space.Color,
		space.Initials, space.ImageURL, space.Solution, features, time.Now().UnixMilli(), space.ID)
	if noRows(err) {
		return nil, ErrNoSpace
	}
	if err != nil {
		return nil, fmt.Errorf("update space %s: %w", space.ID, sqlite.Explain(err))
	}
	return r.space()
}

const selectSpace = `SELECT ` + spaceColumns + ` FROM space WHERE id = ?`

// Space returns a space, or [ErrNoSpace].
func (s *Store) Space(ctx context.Context, id string) (*Space, error) {
	var r spaceRow
	err := s.read.GetContext(ctx, &r, selectSpace, id)
	if noRows(err) {
		return nil, ErrNoSpace
	}
	if err != nil {
		return nil, fmt.Errorf("select space %s: %w", id, sqlite.Explain(err))
	}
	return r.space()
}

const selectSpaces = `SELECT ` + spaceColumns + ` FROM space ORDER BY name, id`

// Spaces returns all spaces by name.
func (s *Store) Spaces(ctx context.Context) ([]*Space, error) {
	var rows []spaceRow
	if err := s.read.SelectContext(ctx, &rows, selectSpaces); err != nil {
		return nil, fmt.Errorf("select spaces: %w", sqlite.Explain(err))
	}
	spaces := make([]*Space, len(rows))
	for i := range rows {
		var err error
		if spaces[i], err = rows[i].space(); err != nil {
			return nil, err
		}
	}
	return spaces, nil
}

// DeleteSpace deletes a space with all its connectors, or returns [ErrNoSpace] and
// leaves those alone. A connector that is made there meanwhile is deleted with it
// or comes after it. It returns the ids of the connectors.
func (s *Store) DeleteSpace(ctx context.Context, id string) ([]string, error) {
	s.changing.Lock() // as change does, and for its reasons
	defer s.changing.Unlock()
	connectors, err := s.deleteSpace(context.WithoutCancel(ctx), id)
	if errors.Is(err, ErrNoSpace) {
		return nil, err
	}
	s.cache.forget(id) // also after an error: what is left will be read again
	if err != nil {
		return nil, fmt.Errorf("delete space %s: %w", id, sqlite.Explain(err))
	}
	return connectors, nil
}

func (s *Store) deleteSpace(ctx context.Context, id string) (connectors []string, err error) {
	tx, err := s.write.BeginTxx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	result, err := tx.ExecContext(ctx, `DELETE FROM space WHERE id = ?`, id)
	if err != nil {
		return nil, err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return nil, cmp.Or(err, ErrNoSpace)
	}
	if err := tx.SelectContext(ctx, &connectors, `DELETE FROM connector WHERE space = ? RETURNING id`, id); err != nil {
		return nil, err
	}
	return connectors, tx.Commit()
}
