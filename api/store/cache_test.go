package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// history is what one writer did to one connector: its operations are counted,
// every fifth is a delete, the others write their number as the name.
type history struct {
	id             string
	began, applied atomic.Int64 // numbers of the last operation
}

func deletes(op int64) bool { return op%5 == 0 }

// check returns an error unless what a reader got was true at some moment
// between the operations before (returned when it began) and after (the last
// one begun when it ended).
func (h *history) check(before, after int64, got *Connector, err error) error {
	if errors.Is(err, ErrNotFound) {
		for op := before; op <= after; op++ {
			if op == 0 || deletes(op) {
				return nil
			}
		}
		return fmt.Errorf("%s: not found, but operations %d to %d only write", h.id, before, after)
	}
	if err != nil {
		return err
	}
	op, err := strconv.ParseInt(got.Name, 10, 64)
	if err != nil || op < before || op > after {
		return fmt.Errorf("%s: read operation %s, want one of %d to %d", h.id, got.Name, before, after)
	}
	return nil
}

func (h *history) write(ctx context.Context, s *Store, operations int64) error {
	var c *Connector
	for op := int64(1); op <= operations; op++ {
		h.began.Store(op)
		var err error
		switch next := example(h.id); {
		case deletes(op):
			err = s.Delete(ctx, "default", h.id)
			c = nil
		case c == nil:
			next.Name = fmt.Sprint(op)
			c, err = s.Create(ctx, next)
		default:
			next.Name, next.Version = fmt.Sprint(op), c.Version
			c, err = s.Update(ctx, next)
		}
		if err != nil {
			return fmt.Errorf("operation %d: %w", op, err)
		}
		h.applied.Store(op)
	}
	return nil
}

func TestReadsAreNeverStale(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]int{"all in memory": cacheBytes, "room for two": 1000, "room for none": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.cache.limit = limit
			histories := []*history{{id: "a"}, {id: "b"}, {id: "c"}}
			var writers, readers sync.WaitGroup
			done := make(chan struct{})
			for _, h := range histories {
				writers.Go(func() {
					if err := h.write(t.Context(), s, 60); err != nil {
						t.Error(err)
					}
				})
			}
			for i := range histories {
				readers.Go(func() {
					for n := i; ; n++ {
						select {
						case <-done:
							return
						default:
						}
						h := histories[n%len(histories)]
						before := h.applied.Load()
						got, err := s.Get(t.Context(), "default", h.id)
						if err := h.check(before, h.began.Load(), got, err); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			writers.Wait()
			close(done)
			readers.Wait()
		})
	}
}

// A reader that was overtaken by a write must not put what it read into memory.
func TestOvertakenReaderDoesNotFillTheCache(t *testing.T) {
	t.Parallel()
	c := newCache()
	old, current := example("a"), example("a")
	_, generation := c.get("a")
	c.set("a", &current)
	c.fill(&old, generation)
	if got, _ := c.get("a"); got != &current {
		t.Errorf("got %v, want the written one", got)
	}
	_, generation = c.get("a")
	c.set("a", nil)
	c.fill(&old, generation)
	if got, _ := c.get("a"); got != nil {
		t.Errorf("got %v, want none", got)
	}
}

func TestFailedWriteForgetsTheConnector(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c := *s.mustCreate(t, example("a"))
	if _, err := s.write.ExecContext(t.Context(), `CREATE TRIGGER no BEFORE UPDATE ON connector BEGIN SELECT RAISE(ABORT, 'no'); END`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(t.Context(), c); err == nil || !strings.Contains(err.Error(), "update connector a: ") {
		t.Errorf("update: %v", err)
	}
	wantConnector(t, s, c)
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache()
	c.limit = 10_000
	add := func(id string, bytes int) {
		connector := example(id)
		connector.Config = json.RawMessage(strings.Repeat("x", bytes))
		c.set(id, &connector)
		if c.connectors[id] != &connector {
			t.Errorf("%s is not in the cache", id)
		}
	}
	sum := func() (total int) {
		for _, each := range c.connectors {
			total += size(each)
		}
		return total
	}
	for i := range 1000 {
		add(fmt.Sprint(i%300), 100*(i%7))
		if c.bytes != sum() || c.bytes > c.limit {
			t.Fatalf("%d bytes, counted %d, limit %d", sum(), c.bytes, c.limit)
		}
	}
	add("huge", 2*c.limit)
	if len(c.connectors) != 1 {
		t.Errorf("%d connectors beside one that is too large", len(c.connectors)-1)
	}
	add("small", 1)
	if len(c.connectors) != 1 || c.bytes != sum() {
		t.Errorf("%d connectors, %d bytes, counted %d", len(c.connectors), sum(), c.bytes)
	}
}
