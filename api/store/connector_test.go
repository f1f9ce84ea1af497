package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readings are the ways to read a connector: from memory, from the file and in
// a list.
func readings(t *testing.T, s *Store, space, id string) map[string]*Connector {
	t.Helper()
	got := map[string]*Connector{}
	for _, from := range []string{"memory", "file"} {
		if from == "file" {
			s.cache.set(id, nil)
		}
		c, err := s.Get(t.Context(), space, id)
		if err != nil {
			t.Fatalf("from %s: %v", from, err)
		}
		got[from] = c
	}
	all, err := s.List(t.Context(), space)
	if err != nil || len(all) != 1 {
		t.Fatalf("list: %d connectors, %v", len(all), err)
	}
	got["list"] = all[0]
	return got
}

func wantConnector(t *testing.T, s *Store, want Connector) {
	t.Helper()
	for from, got := range readings(t, s, want.Space, want.ID) {
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("from %s (-want +got):\n%s", from, diff)
		}
	}
}

func TestCreatedConnectorIsReadBack(t *testing.T) {
	t.Parallel()
	s := setup(t)
	want := Connector{
		ID: "a", Space: "ops", Type: ".index", Name: "Ünïcode '\"; -- 🔌", Config: json.RawMessage(`{"index":"i"}`),
		Secrets: []byte{0, 1, 0xff, 0}, Version: 1,
	}
	given := want
	given.Version = 77 // of no account
	if diff := cmp.Diff(&want, s.mustCreate(t, given)); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	wantConnector(t, s, want)
}

func TestUpdateReplacesNameConfigAndSecrets(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c := *s.mustCreate(t, example("a"))
	for version := int64(2); version <= 4; version++ {
		c.Name, c.Config, c.Secrets = fmt.Sprint("name ", version), json.RawMessage(fmt.Sprintf(`{"v":%d}`, version)), []byte{byte(version)}
		if version == 4 {
			c.Secrets = nil
		}
		stored, err := s.Update(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		c.Version = version
		if diff := cmp.Diff(&c, stored); diff != "" {
			t.Errorf("updated (-want +got):\n%s", diff)
		}
		wantConnector(t, s, c)
	}
}

func TestConfigIsKeptByteForByte(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for i, config := range []string{
		`{}`, " {\n\t\"b\" : 1.50, \"a\":1e400, \"b\":2 } ", `{"a":"\u00e4\/\u0000<&>"}`, "{\"a\":\"\u00e4\u2028\U0001f50c\"}", `{"n":123456789012345678901234567890}`,
	} {
		c := example(fmt.Sprint(i))
		c.Space = fmt.Sprint("space", i)
		c.Config = json.RawMessage(config)
		s.mustCreate(t, c)
		for from, got := range readings(t, s, c.Space, c.ID) {
			if string(got.Config) != config {
				t.Errorf("from %s: %q, want %q", from, got.Config, config)
			}
		}
		var kind string
		if err := s.read.GetContext(t.Context(), &kind, `SELECT typeof(config) FROM connector WHERE id = ?`, c.ID); err != nil || kind != "text" {
			t.Errorf("config is stored as %s, %v", kind, err)
		}
	}
}

func TestIDIsUniqueAcrossSpaces(t *testing.T) {
	t.Parallel()
	s := setup(t)
	want := *s.mustCreate(t, example("a"))
	for _, space := range []string{"default", "ops"} {
		c := example("a")
		c.Space, c.Name = space, "other"
		if _, err := s.Create(t.Context(), c); !errors.Is(err, ErrConflict) {
			t.Errorf("create in %s: %v, want ErrConflict", space, err)
		}
	}
	wantConnector(t, s, want)
}

func TestSpacesAreIsolated(t *testing.T) {
	t.Parallel()
	s := setup(t)
	want := *s.mustCreate(t, example("a"))
	for _, cached := range []bool{true, false} {
		if !cached {
			s.cache.set("a", nil)
		}
		if _, err := s.Get(t.Context(), "ops", "a"); !errors.Is(err, ErrNotFound) {
			t.Errorf("get: %v, want ErrNotFound", err)
		}
	}
	other := want
	other.Space = "ops"
	if _, err := s.Update(t.Context(), other); !errors.Is(err, ErrConflict) {
		t.Errorf("update: %v, want ErrConflict", err)
	}
	if err := s.Delete(t.Context(), "ops", "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("delete: %v, want ErrNotFound", err)
	}
	if all, err := s.List(t.Context(), "ops"); err != nil || len(all) != 0 {
		t.Errorf("list: %v, %v", all, err)
	}
	wantConnector(t, s, want)
}

func TestDeletedConnectorIsGone(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c := *s.mustCreate(t, example("a"))
	if err := s.Delete(t.Context(), "default", "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "default", "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("get: %v, want ErrNotFound", err)
	}
	if _, err := s.Update(t.Context(), c); !errors.Is(err, ErrConflict) {
		t.Errorf("update: %v, want ErrConflict", err)
	}
	if err := s.Delete(t.Context(), "default", "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("delete: %v, want ErrNotFound", err)
	}
	wantConnector(t, s, *s.mustCreate(t, example("a")))
}

func TestUpdateOfAnotherTypeOrVersionIsRefused(t *testing.T) {
	t.Parallel()
	s := setup(t)
	want := *s.mustCreate(t, example("a"))
	otherType, older, newer := want, want, want
	otherType.Type = ".server-log"
	older.Version, newer.Version = 0, 2
	for name, c := range map[string]Connector{"type": otherType, "older": older, "newer": newer} {
		if _, err := s.Update(t.Context(), c); !errors.Is(err, ErrConflict) {
			t.Errorf("%s: %v, want ErrConflict", name, err)
		}
	}
	wantConnector(t, s, want)
}

func TestOfUpdatesOfOneVersionOneWins(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c := *s.mustCreate(t, example("a"))
	results := make(chan error, 8)
	var wg sync.WaitGroup
	for range cap(results) {
		wg.Go(func() {
			_, err := s.Update(t.Context(), c)
			results <- err
		})
	}
	wg.Wait()
	close(results)
	won := 0
	for err := range results {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, ErrConflict):
			t.Errorf("update: %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d updates won", won)
	}
	c.Version = 2
	wantConnector(t, s, c)
}

func TestSpaceHoldsNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), t.TempDir(), Options{MaxConnectors: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	results := make(chan error, 10)
	var wg sync.WaitGroup
	for i := range cap(results) {
		wg.Go(func() {
			_, err := s.Create(t.Context(), example(fmt.Sprint(i)))
			results <- err
		})
	}
	wg.Wait()
	close(results)
	full := 0
	for err := range results {
		if errors.Is(err, ErrFull) {
			full++
		} else if err != nil {
			t.Errorf("create: %v", err)
		}
	}
	all, err := s.List(t.Context(), "default")
	if err != nil || len(all) != 3 || full != 7 {
		t.Errorf("%d stored and %d refused, %v; want 3 and 7", len(all), full, err)
	}
	other := example("other")
	other.Space = "ops"
	s.mustCreate(t, other)
	if err := s.Delete(t.Context(), "default", all[0].ID); err != nil {
		t.Fatal(err)
	}
	s.mustCreate(t, example("again"))
}

func TestListIsInOrderOfCreation(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for i, id := range []string{"c", "a", "b"} {
		s.mustCreate(t, example(id))
		if _, err := s.write.ExecContext(t.Context(), `UPDATE connector SET created_at = ? WHERE id = ?`, 1000+i, id); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.List(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range all {
		ids = append(ids, c.ID)
	}
	if diff := cmp.Diff([]string{"c", "a", "b"}, ids); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}
