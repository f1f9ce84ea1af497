package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func (s *Store) mustCreateSpace(t *testing.T, space Space) {
	t.Helper()
	if err := s.CreateSpace(t.Context(), space); err != nil {
		t.Fatal(err)
	}
}

func wantSpace(t *testing.T, s *Store, want Space) {
	t.Helper()
	got, err := s.Space(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("space (-want +got):\n%s", diff)
	}
}

func TestSpacesOutliveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	description, color := "d", "#aabbcc"
	ops := Space{ID: "ops", Name: "Ops", Description: &description, DisabledFeatures: []string{"a", "b"}}
	renamed := Space{ID: "default", Name: "Ours", Color: &color, DisabledFeatures: []string{}}
	s, err := Open(t.Context(), dir, Options{MaxConnectors: 10, MaxSpaces: 10})
	if err != nil {
		t.Fatal(err)
	}
	s.mustCreateSpace(t, ops)
	if _, err := s.UpdateSpace(t.Context(), renamed); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	wantSpace(t, s, ops)
	greeting := "This is your default space!"
	renamed.Description = &greeting // it was not changed
	wantSpace(t, s, renamed)
}

func TestDeletedSpaceTakesItsConnectorsAlong(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.mustCreateSpace(t, Space{ID: "ops", Name: "Ops"})
	in, out := example("in"), example("out")
	in.Space = "ops"
	s.mustCreate(t, in)
	stays := *s.mustCreate(t, out)
	if _, err := s.DeleteSpace(t.Context(), "ops"); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Get(t.Context(), "ops", "in"); !errors.Is(err, ErrNotFound) {
		t.Errorf("get: %v, %v, want none", c, err)
	}
	wantConnector(t, s, stays)
	if _, err := s.DeleteSpace(t.Context(), "ops"); !errors.Is(err, ErrNoSpace) {
		t.Errorf("delete again: %v", err)
	}
}

func TestSpaceThatIsNotThereLeavesItsConnectors(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c := example("a")
	c.Space = "ops"
	stays := *s.mustCreate(t, c)
	if _, err := s.DeleteSpace(t.Context(), "ops"); !errors.Is(err, ErrNoSpace) {
		t.Errorf("delete: %v", err)
	}
	if got, err := s.Get(t.Context(), "ops", "a"); err != nil || got.Version != stays.Version {
		t.Errorf("get: %v, %v", got, err)
	}
	if connectors, err := s.List(t.Context(), "ops"); err != nil || len(connectors) != 1 {
		t.Errorf("list: %d connectors, %v", len(connectors), err)
	}
}

// A delete that fails half-way leaves everything, in memory as in the database.
func TestFailedDeleteOfASpaceLeavesEverything(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.mustCreateSpace(t, Space{ID: "ops", Name: "Ops"})
	c := example("a")
	c.Space = "ops"
	stays := s.mustCreate(t, c)
	if _, err := s.write.ExecContext(t.Context(), `CREATE TRIGGER no BEFORE DELETE ON connector BEGIN SELECT RAISE(ABORT, 'no'); END`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteSpace(t.Context(), "ops"); err == nil || err.Error() != "delete space ops: no" {
		t.Errorf("delete: %v", err)
	}
	wantSpace(t, s, Space{ID: "ops", Name: "Ops", DisabledFeatures: []string{}})
	got, err := s.Get(t.Context(), "ops", "a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stays, got); diff != "" {
		t.Errorf("connector (-want +got):\n%s", diff)
	}
}

// One deletes the space over and over, others make connectors in it and read
// them: what was answered before a delete began is gone when it has ended, and a
// connector is never in memory only.
func TestDeletedConnectorsAreNeverRead(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const rounds = 30
	var wg sync.WaitGroup
	for round := range rounds {
		s.mustCreateSpace(t, Space{ID: "ops", Name: "Ops"})
		before := example(fmt.Sprintf("before-%d", round))
		before.Space = "ops"
		s.mustCreate(t, before)
		during := example(fmt.Sprintf("during-%d", round))
		during.Space = "ops"
		ended := make(chan struct{})
		wg.Go(func() { // puts the connector into memory again, as long as it may
			for {
				select {
				case <-ended:
					return
				default:
					_, _ = s.Get(t.Context(), "ops", before.ID)
				}
			}
		})
		wg.Go(func() {
			if _, err := s.Create(t.Context(), during); err != nil {
				t.Errorf("create: %v", err)
			}
		})
		_, err := s.DeleteSpace(t.Context(), "ops")
		c, getErr := s.Get(t.Context(), "ops", before.ID)
		close(ended)
		wg.Wait()
		if err != nil || !errors.Is(getErr, ErrNotFound) {
			t.Fatalf("round %d: delete: %v; got %v, %v, want none", round, err, c, getErr)
		}
		got, err := s.Get(t.Context(), "ops", during.ID)
		listed, listErr := s.List(t.Context(), "ops")
		if there := err == nil; listErr != nil || there != (len(listed) > 0 && listed[len(listed)-1].ID == during.ID) {
			t.Fatalf("round %d: got %v, %v, but the database has %d, %v", round, got, err, len(listed), listErr)
		}
		if err == nil {
			if err := s.Delete(t.Context(), "ops", during.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A write whose commit came before the delete's must not reach the cache after it.
func TestDeleteOfASpaceLetsNoOtherWriteIn(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.mustCreateSpace(t, Space{ID: "ops", Name: "Ops"})
	writer, err := s.write.Conn(t.Context()) // holds the delete up half-way
	if err != nil {
		t.Fatal(err)
	}
	deleted := make(chan error, 1)
	go func() { _, err := s.DeleteSpace(t.Context(), "ops"); deleted <- err }()
	for deadline := time.Now().Add(10 * time.Second); s.changing.TryLock(); s.changing.Unlock() {
		if time.Now().After(deadline) {
			t.Error("others may write meanwhile")
			s.changing.Unlock()
			break
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-deleted; err != nil {
		t.Error(err)
	}
}

func TestForgottenSpaceLeavesTheCacheCounted(t *testing.T) {
	t.Parallel()
	c := newCache()
	for i := range 100 {
		connector := example(fmt.Sprint(i))
		connector.Space = []string{"ops", "dev"}[i%2]
		c.set(connector.ID, &connector)
	}
	old := example("0")
	old.Space = "ops"
	_, generation := c.get("0")
	c.forget("ops")
	c.fill(&old, generation) // overtaken
	sum := 0
	for _, each := range c.connectors {
		sum += size(each)
	}
	if len(c.connectors) != 50 || c.bytes != sum {
		t.Errorf("%d connectors with %d bytes, counted %d", len(c.connectors), c.bytes, sum)
	}
}

// The bound only tells one transaction from ten thousand.
func TestFullSpaceIsDeletedAtOnce(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const many = 10_000
	s.mustCreateSpace(t, Space{ID: "ops", Name: "Ops"})
	if _, err := s.write.ExecContext(t.Context(), `
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO connector SELECT 'c' || i, 'ops', '.index', 'n', '{"index":"' || hex(zeroblob(100)) || '"}', zeroblob(300), 1, i, i FROM n`, many); err != nil {
		t.Fatal(err)
	}
	if listed, err := s.List(t.Context(), "ops"); err != nil || len(listed) != many {
		t.Fatalf("%d connectors, %v", len(listed), err)
	}
	start := time.Now()
	if _, err := s.DeleteSpace(t.Context(), "ops"); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	t.Logf("took %s", took)
	if took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	if listed, err := s.List(t.Context(), "ops"); err != nil || len(listed) > 0 {
		t.Errorf("%d connectors left, %v", len(listed), err)
	}
}
