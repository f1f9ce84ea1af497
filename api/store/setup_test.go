package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/jmoiron/sqlx"
)

// writerEnv makes the test binary a process that writes into the directory that
// it names until it is killed.
const writerEnv = "PATCHBAY_TEST_STORE_WRITER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerEnv); dir != "" {
		writeForever(dir)
	}
	os.Exit(m.Run())
}

func setup(t *testing.T) *Store { return open(t, t.TempDir()) }

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, Options{MaxConnectors: 1000, MaxSpaces: 10, MaxKeys: 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// example returns a connector of the space "default" as it is before Create.
func example(id string) Connector {
	return Connector{ID: id, Space: "default", Type: ".index", Name: "Alerts", Config: json.RawMessage(`{"index":"alerts"}`)}
}

func (s *Store) mustCreate(t *testing.T, c Connector) *Connector {
	t.Helper()
	stored, err := s.Create(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// filled makes a database with a few hundred connectors, closed, and returns its
// directory and file.
func filled(t *testing.T) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	s, err := Open(t.Context(), dir, Options{MaxConnectors: 1000, MaxKeys: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		c := example(fmt.Sprintf("connector-%03d", i))
		c.Space = fmt.Sprintf("space-%03d", i)
		c.Config = json.RawMessage(fmt.Sprintf(`{"index":%q}`, bytes.Repeat([]byte("x"), 100)))
		s.mustCreate(t, c)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(dir, FileName)
}

// openRaw opens a database past the store.
func openRaw(t *testing.T, file, params string) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Open("sqlite3", "file:"+file+"?"+params)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
