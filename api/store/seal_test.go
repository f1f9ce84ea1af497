package store

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sealedExample(id string) Connector {
	c := example(id)
	c.Space, c.Secrets = "space-"+id, []byte("sealed "+id)
	return c
}

func TestSealedPagesThroughConnectorsWithSecrets(t *testing.T) {
	t.Parallel()
	s := setup(t)
	if page, err := s.Sealed(t.Context(), "", 10, 1000); err != nil || len(page) != 0 {
		t.Errorf("of an empty database: %v, %v", page, err)
	}
	var want []*Connector
	for n := range 7 {
		s.mustCreate(t, example(fmt.Sprint("plain-", n)))
		want = append(want, s.mustCreate(t, sealedExample(fmt.Sprint("c", n))))
	}
	all := func(count, bytes int) (got []*Connector, pages int) {
		for last := ""; ; pages++ {
			page, err := s.Sealed(t.Context(), last, count, bytes)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				return got, pages
			}
			got = append(got, page...)
			last = page[len(page)-1].ID
		}
	}
	const plenty = 1 << 20
	for _, test := range []struct{ count, bytes, pages int }{
		{1, plenty, 7}, {3, plenty, 3}, {7, plenty, 1}, {100, plenty, 1},
		{100, 1, 7}, {100, size(want[0]) + 1, 4}, // a page is never empty, however large a connector is
	} {
		got, pages := all(test.count, test.bytes)
		if diff := cmp.Diff(want, got); diff != "" || pages != test.pages {
			t.Errorf("by %d and %d bytes: %d pages, want %d (-want +got):\n%s", test.count, test.bytes, pages, test.pages, diff)
		}
	}
}

func TestReplaceSecretsLeavesEverythingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	c := s.mustCreate(t, sealedExample("a"))
	type stamps struct {
		Version int64 `db:"version"`
		Created int64 `db:"created_at"`
		Updated int64 `db:"updated_at"`
	}
	const select1 = `SELECT version, created_at, updated_at FROM connector WHERE id = 'a'`
	raw := openRaw(t, filepath.Join(dir, FileName), "mode=rw")
	if _, err := raw.Exec(`UPDATE connector SET version = 3, created_at = 1, updated_at = 2`); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.ReplaceSecrets(t.Context(), "a", c.Secrets, []byte("anew")); err != nil || !ok {
		t.Fatalf("ReplaceSecrets: %t, %v", ok, err)
	}
	var got stamps
	if err := raw.Get(&got, select1); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stamps{3, 1, 2}, got); diff != "" {
		t.Errorf("stamps (-want +got):\n%s", diff)
	}
	// The cache held it as it was made, and does not any more.
	want := *c
	want.Secrets, want.Version = []byte("anew"), 3
	after, err := s.Get(t.Context(), c.Space, "a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, after); diff != "" {
		t.Errorf("Get (-want +got):\n%s", diff)
	}
}

func TestReplaceSecretsYieldsToOthers(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c := s.mustCreate(t, sealedExample("a"))
	updated := *c
	updated.Secrets = []byte("of the update")
	if _, err := s.Update(t.Context(), updated); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.ReplaceSecrets(t.Context(), "a", c.Secrets, []byte("anew")); err != nil || ok {
		t.Errorf("ReplaceSecrets after an update: %t, %v, want nothing done", ok, err)
	}
	if got, err := s.Get(t.Context(), c.Space, "a"); err != nil || !bytes.Equal(got.Secrets, updated.Secrets) {
		t.Errorf("Get: %v, want the secrets of the update", err)
	}
	if err := s.Delete(t.Context(), c.Space, "a"); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.ReplaceSecrets(t.Context(), "a", updated.Secrets, []byte("anew")); err != nil || ok {
		t.Errorf("ReplaceSecrets after a delete: %t, %v, want nothing done", ok, err)
	}
}

func TestSecretsOfADatabaseThatIsGoneAreErrors(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), t.TempDir(), Options{MaxConnectors: 10})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sealed(t.Context(), "", 10, 10); err == nil || !strings.HasPrefix(err.Error(), "select connectors with secrets: ") {
		t.Errorf("Sealed: %v", err)
	}
	if _, err := s.ReplaceSecrets(t.Context(), "a", nil, nil); err == nil || !strings.HasPrefix(err.Error(), "replace secrets of connector a: ") {
		t.Errorf("ReplaceSecrets: %v", err)
	}
}
