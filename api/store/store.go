// Package store keeps connectors in SQLite and, for executions, in memory; and
// spaces in SQLite.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/jmoiron/sqlx"

	"patchbay.dev/api/sqlite"
)

// FileName is the name of the database in the data directory.
const FileName = "patchbay.db"

// readers is how many connections read at once: more than the cores of a small
// machine only add contention in SQLite.
const readers = 4

// Options configure [Open].
type Options struct {
	MaxConnectors int // connectors per space
	MaxSpaces     int // spaces that are kept, the default one included
	MaxKeys       int // API keys
	// Beside lets another process have the directory open. Then only keys may be
	// written, and connectors be read by [Store.Sealed] alone: both processes keep
	// copies of them.
	Beside      bool
	BusyTimeout time.Duration // how long to wait for another process's lock; 0 means 5 s
}

// Store is the database of one api process. It is safe for concurrent use.
type Store struct {
	options Options
	write   *sqlx.DB // one connection, immediate transactions
	read    *sqlx.DB // read-only
	lock    *flock.Flock

	changing sync.Mutex
	cache    *cache
}

// Open opens the database in dir and brings its tables up to date; dir and the
// file are made, readable by their owner only, if they do not exist. A file that
// is damaged, locked or from a newer version is an error that says so, and stays
// as it is.
func Open(ctx context.Context, dir string, options Options) (*Store, error) {
	if options.BusyTimeout == 0 {
		options.BusyTimeout = 5 * time.Second
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	s := &Store{options: options, lock: flock.New(filepath.Join(dir, "patchbay.lock")), cache: newCache()}
	file := filepath.Join(dir, FileName)
	if err := s.open(ctx, file); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", file, sqlite.Explain(err)), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, file string) error {
	// Two processes with a cache each would answer with stale connectors. A command
	// holds the lock for a moment only, to make the tables.
	locked, err := s.lock.TryLock()
	if err == nil && !locked && !s.options.Beside {
		locked, err = s.waitLock(ctx, commandTime)
	}
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if !locked && !s.options.Beside {
		return errInUse
	}
	if err := sqlite.Make(file); err != nil {
		return err
	}
	if s.write, err = sqlite.Writer(file, s.options.BusyTimeout, nil); err != nil {
		return err
	}
	if err := s.prepare(ctx, locked); err != nil {
		return err
	}
	s.read, err = sqlite.Readers(file, s.options.BusyTimeout, nil, readers)
	return err
}

// commandTime is how long a command may hold the lock.
const commandTime = time.Second

func (s *Store) waitLock(ctx context.Context, limit time.Duration) (bool, error) {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	locked, err := s.lock.TryLockContext(ctx, 10*time.Millisecond)
	if errors.Is(err, context.DeadlineExceeded) {
		return false, nil
	}
	return locked, err
}

//go:embed migrations/*.sql
var migrations embed.FS

// prepare checks the database and brings it up to date, unless a process that has
// it open has done that, or is about to.
func (s *Store) prepare(ctx context.Context, alone bool) error {
	if !s.options.Beside {
		return errors.Join(sqlite.Check(ctx, s.write), sqlite.Migrate(ctx, s.write, migrations, true))
	}
	err := sqlite.Migrate(ctx, s.write, migrations, alone)
	// Two that make a new file at once find it locked, whatever they would wait.
	for try := 0; try < 3 && (errors.Is(err, sqlite.ErrOlder) || errors.Is(sqlite.Explain(err), sqlite.ErrLocked)); try++ {
		if alone, err = s.waitLock(ctx, s.options.BusyTimeout); err == nil {
			err = sqlite.Migrate(ctx, s.write, migrations, alone)
		}
	}
	return errors.Join(err, s.lock.Unlock())
}

// Ping returns nil if the database can be read.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	if err := s.read.GetContext(ctx, &one, `SELECT count(*) FROM (SELECT 1 FROM connector LIMIT 1)`); err != nil {
		return fmt.Errorf("read the database: %w", sqlite.Explain(err))
	}
	return nil
}

// Close closes the database and gives its lock back.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sqlx.DB{s.read, s.write} { // the writer last: it removes the WAL
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, s.lock.Unlock())...)
}

var errInUse = errors.New("another Patchbay is using this data directory; stop it or set another PATCHBAY_DATA_DIR")

func noRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
