package ledger

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/jmoiron/sqlx"

	"patchbay.dev/api/sqlite"
)

// readers is how many connections read at once: more than the cores of a small
// machine only add contention in SQLite. listers are those for what may walk over the
// whole log: the queue does not wait for them.
const (
	readers = 4
	listers = 2
)

// busyTimeout is how long to wait for the lock of another process, which nothing but a
// backup or someone's shell can have.
const busyTimeout = 5 * time.Second

// checkedSize is up to which size the file is read from end to end when it is opened:
// that takes a second or so. Damage in a larger one is found when it is used.
const checkedSize = 256 << 20

//go:embed migrations/*.sql
var migrations embed.FS

// Open opens the database in dir, which is made if it does not exist, and brings its
// tables up to date. The caller has the directory to itself. Durable executions that
// were running are queued again (their attempt counts: after the last one they are dead
// with the class Exhausted, and those that are not Safe with the class Unknown), others
// are Done with an unknown outcome.
func Open(ctx context.Context, dir string, options Options) (*Ledger, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	l := &Ledger{
		options: options.withDefaults(),
		ops:     make(chan *op, groupWeight),
		closing: make(chan struct{}),
		stopped: make(chan struct{}),
		log:     newBuffer(),
		queue:   queue{places: map[place]count{}},
		watches: watches{waiting: map[watchKey]*watch{}},
		changed: make(chan struct{}, 1),
	}
	l.unsealed.Store(true)
	l.pace.begin(l.options.now())
	file := filepath.Join(dir, FileName)
	if err := l.open(ctx, file); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", file, explain(err)), l.closeFile())
	}
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	l.tasks.Go(l.run)
	l.tasks.Go(func() { l.retain(ctx) })
	if l.queue.active > 0 {
		signal(l.changed)
	}
	return l, nil
}

// Params of the driver. What is deleted is overwritten with zeroes, also where that
// writes more pages: params that were run or sealed are gone from the file, large ones
// too, and from the WAL when it begins anew. Statements are prepared once: that takes
// longer than most of them.
var (
	writerParams = url.Values{"_secure_delete": {"TRUE"}, "_cache_size": {"-16000"}, "_stmt_cache_size": {"64"}}
	readerParams = url.Values{"_stmt_cache_size": {"32"}}
)

// checkpointing is after how many pages the WAL is copied into the file: 16 MiB, four
// times what is usual, since pages at the end of tables and indexes change with every
// commit and are copied once.
const checkpointing = `PRAGMA wal_autocheckpoint = 4000`

func (l *Ledger) open(ctx context.Context, file string) (err error) {
	if err := sqlite.Make(file); err != nil {
		return err
	}
	if l.db, err = sqlite.Writer(file, busyTimeout, writerParams); err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if info.Size() < checkedSize {
		if err := sqlite.Check(ctx, l.db); err != nil {
			return err
		}
	}
	if err := sqlite.Migrate(ctx, l.db, migrations, true); err != nil {
		return err
	}
	if l.read, err = sqlite.Readers(file, busyTimeout, readerParams, readers); err != nil {
		return err
	}
	if l.lists, err = sqlite.Readers(file, busyTimeout, readerParams, listers); err != nil {
		return err
	}
	if l.writer, err = l.db.Conn(ctx); err != nil {
		return err
	}
	if _, err := l.writer.ExecContext(ctx, checkpointing); err != nil {
		return err
	}
	if l.options.maxPages > 0 {
		if _, err := l.writer.ExecContext(ctx, fmt.Sprint(`PRAGMA max_page_count = `, l.options.maxPages)); err != nil {
			return err
		}
	}
	if err := l.recover(ctx); err != nil {
		return fmt.Errorf("put back what was running: %w", err)
	}
	return errors.Join(l.load(ctx), l.prepare())
}

// Close writes what waits and closes the database.
func (l *Ledger) Close() error {
	l.stop()
	close(l.closing)
	l.tasks.Wait()
	return l.closeFile()
}

func (l *Ledger) closeFile() error {
	var errs []error
	for _, db := range []*sqlx.DB{l.read, l.lists} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if l.writer != nil {
		errs = append(errs, l.directs.close(), l.writer.Close())
	}
	if l.db != nil { // the writer last: it removes the WAL
		errs = append(errs, l.db.Close())
	}
	return errors.Join(errs...)
}
