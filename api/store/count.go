package store

import (
	"context"
	"fmt"

	"patchbay.dev/api/sqlite"
)

// Count returns how many connectors are stored, of all spaces. It reads an index.
func (s *Store) Count() (n int, err error) {
	if err := s.read.GetContext(context.Background(), &n, `SELECT count(*) FROM connector`); err != nil {
		return 0, fmt.Errorf("count connectors: %w", sqlite.Explain(err))
	}
	return n, nil
}
