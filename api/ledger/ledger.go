// Package ledger keeps executions in SQLite: those that were accepted and have yet
// to be run, and what became of every one, attempt by attempt.
package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"patchbay.dev/api/sqlite"
)

// FileName is the name of the database in the data directory. It is not that of the
// connectors: the two have other rhythms, and this one grows with the traffic.
const FileName = "executions.db"

// Errors that callers tell apart. Those of an [Acceptance] say that nothing was
// accepted.
var (
	ErrNotFound      = errors.New("no such execution")
	ErrExists        = errors.New("an execution with this id exists")
	ErrKeyReused     = errors.New("the idempotency key was used with another request")
	ErrFull          = errors.New("as many executions are queued as may be")
	ErrConnectorFull = errors.New("as many executions of the connector are queued as may be")
	ErrNotDead       = errors.New("the execution is no dead letter")
	ErrNoParams      = errors.New("the params of the execution were not kept")
	ErrRunning       = errors.New("the execution is running")
	ErrDiskFull      = errors.New("the disk is full")
)

// Options configure [Open]. 0 means the default that stands behind each.
type Options struct {
	MaxQueued             int           // executions that wait or run, in all: 1,000,000
	MaxQueuedPerConnector int           // of one connector: 200,000
	KeyAge                time.Duration // how long an idempotency key is known: 24 h
	LogAge                time.Duration // how long what ended is kept: 30 days
	LogCount              int           // how many that ended are kept: 1,000,000
	DeadAge               time.Duration // how long dead letters are kept: 30 days
	// SealParams seals the params of an execution that becomes a dead letter; nil:
	// they are not kept, and it cannot be replayed.
	SealParams func(space, connectorID, typeID, executionID string, params []byte) ([]byte, error)

	now      func() time.Time // the clock; nil: time.Now
	maxPages int              // of the file; 0: as many as SQLite takes
}

func (o Options) withDefaults() Options {
	const day = 24 * time.Hour
	o.MaxQueued = cmp.Or(o.MaxQueued, 1_000_000)
	o.MaxQueuedPerConnector = cmp.Or(o.MaxQueuedPerConnector, 200_000)
	o.KeyAge = cmp.Or(o.KeyAge, day)
	o.LogAge = cmp.Or(o.LogAge, 30*day)
	o.LogCount = cmp.Or(o.LogCount, 1_000_000)
	o.DeadAge = cmp.Or(o.DeadAge, 30*day)
	if o.now == nil {
		o.now = time.Now
	}
	return o
}

// Ledger is the database of the executions of one api process. It is safe for
// concurrent use. All writes go through one goroutine, which puts into one
// transaction what came while the one before was written: many share one fsync.
type Ledger struct {
	options Options
	db      *sqlx.DB // one connection, which is writer
	writer  *sql.Conn
	directs directs
	read    *sqlx.DB
	lists   *sqlx.DB // for what may take long

	ops     chan *op
	closing chan struct{} // closed when no more are taken
	stopped chan struct{} // closed when the last was written
	tasks   sync.WaitGroup
	stop    context.CancelFunc // of the tasks

	seq     int64 // the last one given; the writing goroutine's own
	log     buffer
	queue   queue
	pace    pace
	watches watches
	changed chan struct{}
	totals  totals

	recovered Recovered
	unsealed  atomic.Bool  // there may be dead letters whose params are not sealed
	sealing   sync.RWMutex // read-locked from sealing params until they are on disk
}

// explain says of an error of SQLite what to do, and makes that of a full disk one that
// callers can tell.
func explain(err error) error {
	if sqlite.IsFull(err) {
		return fmt.Errorf("%w (%w)", ErrDiskFull, err)
	}
	return sqlite.Explain(err)
}
