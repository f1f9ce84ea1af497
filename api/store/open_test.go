package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"

	"patchbay.dev/api/sqlite"
)

// wantRefusal sees that a directory is refused with a sentence, and that its
// database stays byte for byte as it is.
func wantRefusal(t *testing.T, dir string, want error) {
	t.Helper()
	file := filepath.Join(dir, FileName)
	before := read(t, file)
	s, err := Open(t.Context(), dir, Options{MaxConnectors: 10, BusyTimeout: 50 * time.Millisecond})
	if err == nil {
		s.Close()
		t.Fatal("opened")
	}
	if !errors.Is(err, want) || !strings.HasPrefix(err.Error(), "open "+file+": ") {
		t.Errorf("error %q, want the file and %q", err, want)
	}
	if !bytes.Equal(before, read(t, file)) {
		t.Error("the file was changed")
	}
}

func TestFileThatIsNoDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"one byte":    "x",
		"short text":  "hello, this is not a database\n",
		"a page":      strings.Repeat("garbage ", 512),
		"many pages":  strings.Repeat("garbage ", 50_000),
		"only zeroes": strings.Repeat("\x00", 8192),
		"header only": "SQLite format 3\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, FileName), []byte(content))
			wantRefusal(t, dir, sqlite.ErrDamaged)
		})
	}
}

func TestTruncatedFileIsRefused(t *testing.T) {
	t.Parallel()
	dir, file := filled(t)
	whole := read(t, file)
	for _, length := range []int{len(whole) - 1, len(whole) - 512, len(whole) - 4096, len(whole) / 2, 8192, 4096, 4095, 1000, 512, 100, 17, 1} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			write(t, file, whole[:length])
			wantRefusal(t, dir, sqlite.ErrDamaged)
		})
	}
	write(t, file, whole)
	s := open(t, dir)
	if all, err := s.List(t.Context(), "space-007"); err != nil || len(all) != 1 {
		t.Errorf("the whole file: %d connectors, %v", len(all), err)
	}
}

func TestDamagedPageIsRefused(t *testing.T) {
	t.Parallel()
	const pageSize = 4096
	dir, file := filled(t)
	whole := read(t, file)
	for page := range len(whole) / pageSize {
		damaged := bytes.Clone(whole)
		copy(damaged[page*pageSize:(page+1)*pageSize], bytes.Repeat([]byte{0xa5}, pageSize))
		write(t, file, damaged)
		t.Run(fmt.Sprint("page ", page+1), func(t *testing.T) { wantRefusal(t, dir, sqlite.ErrDamaged) })
	}
}

func TestDatabaseOfANewerVersionIsRefused(t *testing.T) {
	t.Parallel()
	dir, file := filled(t)
	db := openRaw(t, file, "")
	if _, err := db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, dir, sqlite.ErrNewer)
}

func TestLockedDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	dir, file := filled(t)
	db := openRaw(t, file, "_locking_mode=EXCLUSIVE")
	if _, err := db.ExecContext(t.Context(), `UPDATE connector SET name = 'x' WHERE id = 'connector-000'`); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	wantRefusal(t, dir, sqlite.ErrLocked)
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %s", took)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestWriteBehindAnothersLockSaysSo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, Options{MaxConnectors: 10, BusyTimeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := *s.mustCreate(t, example("a"))
	db := openRaw(t, filepath.Join(dir, FileName), "_txlock=immediate")
	tx, err := db.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(t.Context(), example("b")); !errors.Is(err, sqlite.ErrLocked) {
		t.Errorf("create: %v", err)
	}
	wantConnector(t, s, want) // reads go on
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	s.mustCreate(t, example("b"))
}

func TestDirectoryInUseIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	want := *s.mustCreate(t, example("a"))
	for range 2 { // the refused one must not give the lock away
		if _, err := Open(t.Context(), dir, Options{}); !errors.Is(err, errInUse) {
			t.Errorf("error %v, want %v", err, errInUse)
		}
	}
	wantConnector(t, s, want)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "data")
	s := open(t, dir)
	s.mustCreate(t, example("a"))
	got := map[string]os.FileMode{}
	err := filepath.WalkDir(filepath.Dir(dir), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		got[filepath.Base(path)] = info.Mode()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]os.FileMode{
		"new": os.ModeDir | 0o700, "data": os.ModeDir | 0o700, "patchbay.lock": 0o600,
		FileName: 0o600, FileName + "-wal": 0o600, FileName + "-shm": 0o600,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modes (-want +got):\n%s", diff)
	}
}

func TestPathsMayHaveOddCharacters(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"with space", "what?mode=memory", "half#way", "100%25", "%", "a&b=c;d", "'quoted\"", "ünïcode 🔌", ":memory:", "file:x"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), name)
			s, err := Open(t.Context(), dir, Options{MaxConnectors: 10})
			if err != nil {
				t.Fatal(err)
			}
			s.mustCreate(t, example("a"))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			beside, err := os.ReadDir(filepath.Dir(dir))
			if err != nil || len(beside) != 1 {
				t.Errorf("beside the directory: %v, %v", beside, err)
			}
			if _, err := os.Stat(filepath.Join(dir, FileName)); err != nil {
				t.Error(err)
			}
			if _, err := open(t, dir).Get(t.Context(), "default", "a"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPathMayBeRelative(t *testing.T) { //nolint:paralleltest // it changes the directory
	t.Chdir(t.TempDir())
	s := open(t, "./data?x")
	s.mustCreate(t, example("a"))
	if _, err := os.Stat(filepath.Join("data?x", FileName)); err != nil {
		t.Error(err)
	}
}

func TestDirectoryThatCannotBeMadeIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil)
	_, err := Open(t.Context(), filepath.Join(file, "data"), Options{})
	if err == nil || !strings.Contains(err.Error(), "make data directory: mkdir "+file) {
		t.Errorf("error %v", err)
	}
}

func TestPragmasHoldOnEveryConnection(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for name, pool := range map[string]struct {
		db          *sqlx.DB
		connections int
		want        map[string]string
	}{
		"write": {s.write, 1, map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "query_only": "0", "busy_timeout": "5000",
		}},
		"read": {s.read, readers, map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "query_only": "1", "busy_timeout": "5000",
		}},
	} {
		if got := pool.db.Stats().MaxOpenConnections; got != pool.connections {
			t.Errorf("%s: %d connections, want %d", name, got, pool.connections)
		}
		for range pool.connections { // held until the end, so that each is another one
			conn, err := pool.db.Connx(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			got := map[string]string{}
			for pragma := range pool.want {
				var value string
				if err := conn.GetContext(t.Context(), &value, "PRAGMA "+pragma); err != nil {
					t.Fatal(err)
				}
				got[pragma] = value
			}
			if diff := cmp.Diff(pool.want, got); diff != "" {
				t.Errorf("%s pragmas (-want +got):\n%s", name, diff)
			}
		}
	}
}

func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	s := setup(t)
	if _, err := s.read.ExecContext(t.Context(), `DELETE FROM connector`); err == nil {
		t.Error("a reader could delete")
	}
}

func TestTableIsStrict(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var strict bool
	if err := s.read.GetContext(t.Context(), &strict, `SELECT strict FROM pragma_table_list WHERE name = 'connector'`); err != nil || !strict {
		t.Errorf("strict: %t, %v", strict, err)
	}
	_, err := s.write.ExecContext(t.Context(), insertConnector, "a", "s", "t", "n", []byte(`{}`), nil, 1, 1, "s", 10)
	if err == nil || !strings.Contains(err.Error(), "cannot store BLOB value in TEXT column connector.config") {
		t.Errorf("config as bytes: %v", err)
	}
}

func TestPingTellsThatTheDatabaseIsClosed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.read.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "read the database: ") {
		t.Errorf("ping: %v", err)
	}
}
