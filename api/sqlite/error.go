package sqlite

import (
	"errors"
	"fmt"

	"github.com/mattn/go-sqlite3"
)

// Errors that say what to do.
var (
	ErrNewer   = errors.New("the file was written by a newer version of Patchbay; run that version or restore a backup")
	ErrOlder   = errors.New("an older version of Patchbay is using the file; stop it, or use the program of that version")
	ErrDamaged = errors.New("the file is damaged; restore a backup, or move the file away to start with an empty one")
	ErrLocked  = errors.New("the file is locked by another process; end that process and start again")
)

// Explain adds what to do to what SQLite says of a file that it cannot use.
func Explain(err error) error {
	sqlite, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return err
	}
	switch sqlite.Code {
	case sqlite3.ErrNotADB, sqlite3.ErrCorrupt:
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return fmt.Errorf("%w (%w)", ErrLocked, err)
	default:
		return err
	}
}

// IsConflict reports whether err says that a primary or unique key exists.
func IsConflict(err error) bool {
	sqlite, ok := errors.AsType[sqlite3.Error](err)
	return ok && (sqlite.ExtendedCode == sqlite3.ErrConstraintPrimaryKey || sqlite.ExtendedCode == sqlite3.ErrConstraintUnique)
}

// IsFull reports whether err says that there is no room on the disk.
func IsFull(err error) bool {
	sqlite, ok := errors.AsType[sqlite3.Error](err)
	return ok && sqlite.Code == sqlite3.ErrFull
}
