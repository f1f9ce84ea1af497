package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"patchbay.dev/api/sqlite"
)

// hold keeps the writing goroutine busy until the returned function is called: what
// comes meanwhile is one group.
func (l *Ledger) hold(t *testing.T) (release func()) {
	t.Helper()
	begun, released := make(chan struct{}), make(chan struct{})
	var held sync.WaitGroup
	held.Go(func() {
		err := l.do(context.Background(), &op{weight: groupWeight, apply: func(*group) error {
			close(begun)
			<-released
			return nil
		}})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	return func() { close(released); held.Wait() }
}

// waits returns when n operations wait for the writing goroutine.
func (l *Ledger) waits(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); len(l.ops) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d operations wait, want %d", len(l.ops), n)
		}
	}
}

func TestOperationThatFailsTakesNoOtherWithIt(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	release := l.hold(t)
	broken := errors.New("broken")
	var callers sync.WaitGroup
	for i := range 10 {
		callers.Go(func() {
			if _, err := l.Accept(t.Context(), []Submission{example(fmt.Sprint(i))}); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	for _, tt := range []struct {
		statement string
		want      string
	}{
		{`INSERT INTO payload (seq) VALUES (1)`, "NOT NULL"},
		{`SELECT nonsense`, "no such column"},
		{"", "broken"},
	} {
		callers.Go(func() {
			err := l.do(t.Context(), &op{weight: 1, apply: func(g *group) error {
				if _, err := g.accept(new(example("half "+tt.want)), ""); err != nil {
					return err
				}
				if tt.statement == "" {
					return broken
				}
				_, err := g.exec(tt.statement)
				return err
			}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
	l.Log(record("logged"))
	l.waits(t, 13)
	release()
	callers.Wait()
	if err := l.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	l.wantQueued(t, 10, 10)
	l.wantRows(t, "payload", 10)
	l.mustGet(t, "logged")
	for _, id := range []string{"half NOT NULL", "half no such column", "half broken"} {
		l.wantNone(t, id)
	}
}

func TestManyCallersShareACommit(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	release := l.hold(t)
	var times sync.Map
	var callers sync.WaitGroup
	for i := range 64 {
		callers.Go(func() {
			err := l.do(t.Context(), &op{weight: 1, apply: func(g *group) error {
				times.Store(g, i)
				return nil
			}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	l.waits(t, 64)
	release()
	callers.Wait()
	commits := 0
	times.Range(func(any, any) bool { commits++; return true })
	if commits != 1 {
		t.Errorf("%d commits, want 1", commits)
	}
}

func TestFullDiskIsToldAndPasses(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{maxPages: 60})
	big := strings.Repeat("x", 3000)
	accepted := 0
	var err error
	for ; err == nil; accepted++ {
		s := example(fmt.Sprint(accepted))
		s.Params = []byte(`"` + big + `"`)
		if accepted > 100 {
			t.Fatal("the disk never was full")
		}
		_, err = l.Accept(t.Context(), []Submission{s, example(s.ID + "b")})
	}
	accepted--
	if !errors.Is(err, ErrDiskFull) {
		t.Errorf("error %v, want %v", err, ErrDiskFull)
	}
	l.wantQueued(t, 2*accepted, 2*accepted)
	l.wantNone(t, fmt.Sprint(accepted))
	l.wantNone(t, fmt.Sprint(accepted, "b"))

	// An end waits for room, and the log keeps what it has.
	l.mustClaim(t, 1)
	l.Log(record("logged"))
	end := succeeded(1, 1)
	end.Data = []byte(`"` + strings.Repeat(big, 10) + `"`)
	impatient, stop := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer stop()
	if err := l.End(impatient, end); !errors.Is(err, ErrDiskFull) {
		t.Errorf("end: %v", err)
	}
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := l.End(t.Context(), end); err != nil {
			t.Errorf("end: %v", err)
		}
	})
	if err := l.do(t.Context(), &op{weight: 1, apply: func(g *group) error {
		_, err := g.exec(`PRAGMA max_page_count = 10000`)
		return err
	}}); err != nil {
		t.Fatal(err)
	}
	ended.Wait()
	if err := l.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	l.mustGet(t, "logged")
	l.mustAccept(t, example("new"))
	l.wantQueued(t, 2*accepted, 2*accepted)
	if got := l.Stats().Dropped; got != 0 {
		t.Errorf("dropped %d", got)
	}
	if err := sqlite.Check(t.Context(), l.read); err != nil {
		t.Error(err)
	}
}

func TestFullDiskKeepsTheLogUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{maxPages: 60})
	r := record("")
	n := 0
	for full := false; !full; {
		for range 50 {
			r.ID = fmt.Sprint(n)
			l.Log(r)
			n++
		}
		err := l.Flush(t.Context())
		if full = err != nil; full && !errors.Is(err, ErrDiskFull) {
			t.Errorf("flush: %v", err)
		}
	}
	if err := l.do(t.Context(), &op{weight: 1, apply: func(g *group) error {
		_, err := g.exec(`PRAGMA max_page_count = 10000`)
		return err
	}}); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	l.wantRows(t, "execution", n)
}

func TestCallerWhoLeavesBeforeItIsWrittenIsTold(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for range 100 { // whichever of the two comes first, nothing is half done
		_, err := l.Accept(ctx, []Submission{example("a")})
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}
