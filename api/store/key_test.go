package store

import (
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/api/access"
	"patchbay.dev/api/sqlite"
)

func newKey(name string) access.Key {
	key, _ := access.NewKey(name, access.Privileges{Read: []string{"ops", "dev"}, Indices: []string{"a-*"}},
		time.UnixMilli(1000), time.UnixMilli(9000))
	return key
}

func (s *Store) mustCreateKey(t *testing.T, key access.Key) access.Key {
	t.Helper()
	if err := s.CreateKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return key
}

func TestKeysAreKeptAcrossRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	if some, err := s.HasKeys(t.Context()); some || err != nil {
		t.Errorf("has keys: %t, %v", some, err)
	}
	admin, _ := access.NewKey("admin", access.Privileges{Admin: true}, time.UnixMilli(1), time.Time{})
	want := []access.Key{s.mustCreateKey(t, admin), s.mustCreateKey(t, newKey("n"))}
	if err := s.MarkKeysUsed(t.Context(), map[string]time.Time{want[1].ID: time.UnixMilli(5000), "gone": time.UnixMilli(1)}); err != nil {
		t.Fatal(err)
	}
	want[1].LastUsed = time.UnixMilli(5000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	got, err := s.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	one, err := s.Key(t.Context(), want[1].ID)
	if diff := cmp.Diff(want[1], one); diff != "" || err != nil {
		t.Errorf("key: %v (-want +got):\n%s", err, diff)
	}
	if _, err := s.Key(t.Context(), "gone"); !errors.Is(err, ErrNoKey) {
		t.Errorf("unknown key: %v", err)
	}
}

func TestDeleteKeysTellsWhichThereWere(t *testing.T) {
	t.Parallel()
	s := setup(t)
	a, b, c := s.mustCreateKey(t, newKey("a")), s.mustCreateKey(t, newKey("b")), s.mustCreateKey(t, newKey("c"))
	got, err := s.DeleteKeys(t.Context(), []string{a.ID, "x", b.ID, a.ID})
	slices.Sort(got)
	want := []string{a.ID, b.ID}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if left, err := s.Keys(t.Context()); err != nil || len(left) != 1 || left[0].ID != c.ID {
		t.Errorf("left %v, %v", left, err)
	}
	if got, err := s.DeleteKeys(t.Context(), nil); len(got) != 0 || err != nil {
		t.Errorf("nothing: %v, %v", got, err)
	}
}

func TestKeysHaveALimit(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), t.TempDir(), Options{MaxKeys: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	errs := make([]error, 20)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = s.CreateKey(t.Context(), newKey("n")) })
	}
	wg.Wait()
	full := 0
	for _, err := range errs {
		if errors.Is(err, ErrKeysFull) {
			full++
		} else if err != nil {
			t.Error(err)
		}
	}
	if full != 15 {
		t.Errorf("%d of 20 were refused, want 15", full)
	}
}

// The command line opens the directory beside the server.
func TestBesideIsForKeysWhileAnotherHasTheDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := open(t, dir)
	if _, err := Open(t.Context(), dir, Options{}); !errors.Is(err, errInUse) {
		t.Fatalf("a second server: %v", err)
	}
	beside, err := Open(t.Context(), dir, Options{MaxKeys: 10, Beside: true})
	if err != nil {
		t.Fatal(err)
	}
	key := beside.mustCreateKey(t, newKey("n"))
	if err := beside.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Key(t.Context(), key.ID); err != nil {
		t.Errorf("the server does not see the key: %v", err)
	}
	server.mustCreate(t, example("a")) // and has lost nothing
	if _, err := Open(t.Context(), dir, Options{}); !errors.Is(err, errInUse) {
		t.Errorf("the lock of the server is gone: %v", err)
	}
}

func TestBesideDoesNotMigrateWhatAnotherUses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	db := openRaw(t, filepath.Join(dir, FileName), "_txlock=immediate")
	if _, err := db.Exec(`DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Options{Beside: true}); !errors.Is(err, sqlite.ErrOlder) {
		t.Errorf("error %v", err)
	}
}
