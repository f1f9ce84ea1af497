package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
)

// acceptorEnv makes the test binary a process that accepts executions into the
// directory that it names until it is killed.
const acceptorEnv = "PATCHBAY_TEST_LEDGER_ACCEPTOR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(acceptorEnv); dir != "" {
		acceptForever(dir)
	}
	os.Exit(m.Run())
}

// clock is a time that tests move on.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

// epoch is when the clocks of tests begin.
var epoch = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func newClock() *clock { return &clock{now: epoch} }

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

// mark stands for sealing: it is easily told.
func mark(space, connectorID, typeID, id string, params []byte) ([]byte, error) {
	return fmt.Appendf(nil, "sealed %s/%s/%s/%s %s", space, connectorID, typeID, id, params), nil
}

type bundle struct {
	*Ledger
	*clock
	dir string
}

func setup(t *testing.T, options Options) *bundle {
	t.Helper()
	c := newClock()
	if options.now == nil {
		options.now = c.time
	}
	dir := t.TempDir()
	return &bundle{open(t, dir, options), c, dir}
}

func open(t *testing.T, dir string, options Options) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), dir, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		select {
		case <-l.closing: // by the test
			return
		default:
		}
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return l
}

// example returns a submission to the space "default".
func example(id string) Submission {
	return Submission{
		ID: id, Space: "default", ConnectorID: "alerts", ConnectorName: "Alerts", Type: ".index", MaxAttempts: 3,
		Params: json.RawMessage(`{"id":"` + id + `"}`),
	}
}

// where returns the place of the examples.
func where(queued int) Place { return Place{"default", "alerts", ".index", queued} }

func (l *Ledger) mustAccept(t *testing.T, submissions ...Submission) []Execution {
	t.Helper()
	acceptances, err := l.Accept(t.Context(), submissions)
	if err != nil {
		t.Fatal(err)
	}
	executions := make([]Execution, len(acceptances))
	for i, a := range acceptances {
		if a.Err != nil || a.Known {
			t.Fatalf("%s: %+v", submissions[i].ID, a)
		}
		executions[i] = a.Execution
	}
	return executions
}

func (l *Ledger) mustClaim(t *testing.T, seq int64) Job {
	t.Helper()
	jobs, err := l.Claim(t.Context(), []int64{seq}, l.options.now())
	if err != nil || len(jobs) != 1 {
		t.Fatalf("claim: %d jobs, %v", len(jobs), err)
	}
	return jobs[0]
}

func (l *Ledger) mustEnd(t *testing.T, e Ending) {
	t.Helper()
	if err := l.End(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

// kill accepts an execution and makes it a dead letter.
func (l *Ledger) kill(t *testing.T, s Submission) Execution {
	t.Helper()
	e := l.mustAccept(t, s)[0]
	l.mustClaim(t, e.Seq)
	l.mustEnd(t, failed(e.Seq, 1, Dead))
	e, _ = l.mustGet(t, e.ID)
	return e
}

func (l *Ledger) mustGet(t *testing.T, id string) (Execution, []Attempt) {
	t.Helper()
	e, attempts, err := l.Get(t.Context(), "default", id)
	if err != nil {
		t.Fatal(err)
	}
	return e, attempts
}

func (l *Ledger) wantNone(t *testing.T, id string) {
	t.Helper()
	if _, _, err := l.Get(t.Context(), "default", id); !errors.Is(err, ErrNotFound) {
		t.Errorf("%s: error %v, want %v", id, err, ErrNotFound)
	}
}

// wantQueued compares the places, of which there is one, and what is counted.
func (l *Ledger) wantQueued(t *testing.T, waiting, active int) {
	t.Helper()
	want := []Place{}
	if waiting > 0 {
		want = append(want, where(waiting))
	}
	if diff := cmp.Diff(want, l.Places()); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
	if got := l.Stats().Queued; got != active {
		t.Errorf("queued %d, want %d", got, active)
	}
	var rows int
	const query = `SELECT count(*) FROM execution WHERE durable = 1 AND state IN ('queued', 'running')`
	if err := l.read.GetContext(t.Context(), &rows, query); err != nil || rows != active {
		t.Errorf("%d rows, want %d; %v", rows, active, err)
	}
}

// failed is the end of an attempt with an error.
func failed(seq int64, number int, state State) Ending {
	e := Ending{Seq: seq, State: state, Attempt: Attempt{
		Number: number, Outcome: wire.Error, EndedAt: epoch.Add(time.Second), Dispatch: 300 * time.Microsecond, Run: 2 * time.Millisecond,
		Worker: "worker-1", Failure: &wire.Failure{Message: "no", ServiceMessage: "503", Retry: wire.RetryLater(), Source: wire.User},
	}}
	if state == Dead {
		e.Class = Exhausted
	}
	return e
}

// succeeded is the end of an attempt that went well.
func succeeded(seq int64, number int) Ending {
	return Ending{Seq: seq, State: Done, Data: json.RawMessage(`{"ok":true}`), Attempt: Attempt{
		Number: number, Outcome: wire.OK, EndedAt: epoch.Add(time.Second), Dispatch: 300 * time.Microsecond, Run: 2 * time.Millisecond,
		Worker: "worker-1",
	}}
}
