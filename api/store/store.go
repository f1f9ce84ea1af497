// Package store keeps connectors in SQLite and, for executions, in memory; and
// spaces in SQLite.
package store

import (
	"context"
	"database/sql"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/jmoiron/sqlx"
	"github.com/mattn/go-sqlite3"
	"github.com/pressly/goose/v3"
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
		return nil, errors.Join(fmt.Errorf("open %s: %w", file, explain(err)), s.Close())
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
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600) // SQLite itself would make it readable by all
	if err != nil {
		return err
	}
	if err := errors.Join(checkSize(f), f.Close()); err != nil {
		return err
	}
	if s.write, err = s.connect(file, url.Values{"_txlock": {"immediate"}}, 1); err != nil {
		return err
	}
	if err := s.prepare(ctx, locked); err != nil {
		return err
	}
	s.read, err = s.connect(file, url.Values{"mode": {"ro"}, "_query_only": {"1"}}, readers)
	return err
}

func (s *Store) connect(file string, params url.Values, connections int) (*sqlx.DB, error) {
	params.Set("_journal_mode", "WAL")
	params.Set("_synchronous", "FULL") // an answered write outlives a power cut
	params.Set("_foreign_keys", "1")
	params.Set("_busy_timeout", fmt.Sprint(s.options.BusyTimeout.Milliseconds()))
	if params.Get("mode") == "ro" {
		params.Del("_journal_mode") // it is a property of the file, and setting it a write
	}
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath(), RawQuery: params.Encode()}
	db, err := sqlx.Open("sqlite3", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// checkSize finds what SQLite itself overlooks: it takes a file of a few bytes
// for an empty database, and fills a last page that is cut with zeroes.
func checkSize(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	if wal, err := os.Stat(f.Name() + "-wal"); err == nil && wal.Size() > 0 {
		return nil // a crash may have cut the file, and the pages are in the WAL
	}
	var header [18]byte // ends with the size of a page; 1 stands for 65536
	if _, err := f.ReadAt(header[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	page := int64(binary.BigEndian.Uint16(header[16:]))
	if page == 1 {
		page = 1 << 16
	}
	if page == 0 || info.Size()%page != 0 {
		return fmt.Errorf("%w (%d bytes are not whole pages)", errDamaged, info.Size())
	}
	return nil
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

// prepare checks the database and brings it up to date, unless a process that has
// it open has done that, or is about to.
func (s *Store) prepare(ctx context.Context, alone bool) error {
	if !s.options.Beside {
		return errors.Join(s.check(ctx), s.migrate(ctx, true))
	}
	err := s.migrate(ctx, alone)
	if errors.Is(err, errOlder) {
		if alone, err = s.waitLock(ctx, s.options.BusyTimeout); err == nil {
			err = s.migrate(ctx, alone)
		}
	}
	return errors.Join(err, s.lock.Unlock())
}

// check reads the database from end to end, so that damage is found at the
// start and not by a user.
func (s *Store) check(ctx context.Context) error {
	var verdict []string
	if err := s.write.SelectContext(ctx, &verdict, `PRAGMA quick_check`); err != nil {
		return err
	}
	if len(verdict) != 1 || verdict[0] != "ok" {
		return fmt.Errorf("%w: %q", errDamaged, verdict)
	}
	return nil
}

//go:embed migrations/*.sql
var migrations embed.FS

func (s *Store) migrate(ctx context.Context, alone bool) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, s.write.DB, files, goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > target {
		return fmt.Errorf("%w: it has schema version %d, this program knows %d", errNewer, current, target)
	}
	if current < target && !alone {
		return errOlder
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// Ping returns nil if the database can be read.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	if err := s.read.GetContext(ctx, &one, `SELECT count(*) FROM (SELECT 1 FROM connector LIMIT 1)`); err != nil {
		return fmt.Errorf("read the database: %w", explain(err))
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

var (
	errInUse   = errors.New("another Patchbay is using this data directory; stop it or set another PATCHBAY_DATA_DIR")
	errNewer   = errors.New("the file was written by a newer version of Patchbay; run that version or restore a backup")
	errOlder   = errors.New("an older version of Patchbay is using the file; stop it, or use the program of that version")
	errDamaged = errors.New("the file is damaged; restore a backup, or move the file away to start with an empty one")
	errLocked  = errors.New("the file is locked by another process; end that process and start again")
)

// explain adds what to do to what SQLite says of a file that it cannot use.
func explain(err error) error {
	sqlite, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return err
	}
	switch sqlite.Code {
	case sqlite3.ErrNotADB, sqlite3.ErrCorrupt:
		return fmt.Errorf("%w (%w)", errDamaged, err)
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return fmt.Errorf("%w (%w)", errLocked, err)
	default:
		return err
	}
}

// isConflict reports whether err says that a primary or unique key exists.
func isConflict(err error) bool {
	sqlite, ok := errors.AsType[sqlite3.Error](err)
	return ok && (sqlite.ExtendedCode == sqlite3.ErrConstraintPrimaryKey || sqlite.ExtendedCode == sqlite3.ErrConstraintUnique)
}

func noRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
