// Package sqlite opens SQLite files as Patchbay keeps them: checked, up to date, one
// connection that writes and some that read, and errors that say what to do.
package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"time"

	"github.com/jmoiron/sqlx"
	_ "github.com/mattn/go-sqlite3" // the driver
)

// Make makes the file, readable by its owner only, if it does not exist, and refuses
// one that cannot be a whole database.
func Make(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600) // SQLite itself would make it readable by all
	if err != nil {
		return err
	}
	return errors.Join(checkSize(f), f.Close())
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
		return fmt.Errorf("%w (%d bytes are not whole pages)", ErrDamaged, info.Size())
	}
	return nil
}

// Writer returns a pool of one connection, whose transactions lock the database when
// they begin; busy is how long it waits for another process's lock. params are further
// ones of the driver, nil for none.
func Writer(file string, busy time.Duration, params url.Values) (*sqlx.DB, error) {
	all := url.Values{"_txlock": {"immediate"}, "_journal_mode": {"WAL"}}
	maps.Copy(all, params)
	return connect(file, busy, all, 1)
}

// Readers returns a pool of connections that cannot write; params as those of [Writer].
func Readers(file string, busy time.Duration, params url.Values, connections int) (*sqlx.DB, error) {
	// The journal mode is a property of the file, and setting it a write.
	all := url.Values{"mode": {"ro"}, "_query_only": {"1"}}
	maps.Copy(all, params)
	return connect(file, busy, all, connections)
}

func connect(file string, busy time.Duration, params url.Values, connections int) (*sqlx.DB, error) {
	params.Set("_synchronous", "FULL") // an answered write outlives a power cut
	params.Set("_foreign_keys", "1")
	params.Set("_busy_timeout", fmt.Sprint(busy.Milliseconds()))
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath(), RawQuery: params.Encode()}
	db, err := sqlx.Open("sqlite3", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}
