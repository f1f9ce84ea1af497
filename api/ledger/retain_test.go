package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func (b *bundle) sweep(t *testing.T) {
	t.Helper()
	if err := b.Ledger.sweep(t.Context(), b.time()); err != nil {
		t.Fatal(err)
	}
}

// there returns the ids of all executions, the oldest first.
func (b *bundle) there(t *testing.T) (ids []string) {
	t.Helper()
	if err := b.read.SelectContext(t.Context(), &ids, `SELECT id FROM execution ORDER BY created_at, seq`); err != nil {
		t.Fatal(err)
	}
	return ids
}

func (b *bundle) log1(t *testing.T, id string) {
	t.Helper()
	r := record(id)
	r.Attempt.StartedAt, r.Attempt.EndedAt, r.Attempt.Queue = b.time(), b.time(), 0
	b.Log(r)
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAgesDecideWhatIsKept(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{LogAge: 10 * time.Hour, DeadAge: 20 * time.Hour, KeyAge: 15 * time.Hour, SealParams: mark})
	l.log1(t, "logged")
	l.mustAccept(t, example("queued"))
	l.kill(t, example("dead"))
	l.mustEnd(t, succeeded(l.begin(t, keyed("keyed", 1)).Execution.Seq, 1))
	done := l.mustAccept(t, example("done"))[0].Seq
	l.mustClaim(t, done)
	l.mustEnd(t, succeeded(done, 1))
	l.mustClaim(t, l.mustAccept(t, example("running"))[0].Seq)
	l.pass(5 * time.Hour)
	l.log1(t, "younger")
	for _, tt := range []struct {
		after time.Duration
		want  []string
	}{
		{9 * time.Hour, []string{"logged", "queued", "dead", "keyed", "done", "running", "younger"}},
		{11 * time.Hour, []string{"queued", "dead", "keyed", "running", "younger"}},
		{16 * time.Hour, []string{"queued", "dead", "running"}},
		{21 * time.Hour, []string{"queued", "running"}},
	} {
		l.pass(epoch.Add(tt.after).Sub(l.time()))
		l.sweep(t)
		if diff := cmp.Diff(tt.want, l.there(t)); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", tt.after, diff)
		}
	}
	l.wantRows(t, "answer", 0)
	l.wantRows(t, "payload", 2)
	l.wantQueued(t, 1, 2)
}

func TestOldestAreDeletedWhenThereAreTooMany(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{LogCount: 3, KeyAge: time.Hour})
	l.mustAccept(t, example("queued"))
	l.kill(t, example("dead"))
	l.mustEnd(t, succeeded(l.begin(t, keyed("keyed", 1)).Execution.Seq, 1))
	for i := range 5 {
		l.pass(time.Second)
		l.log1(t, fmt.Sprint(i))
	}
	for range 2 { // the second finds nothing
		l.sweep(t)
		if diff := cmp.Diff([]string{"queued", "dead", "keyed", "2", "3", "4"}, l.there(t)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	l.pass(time.Hour)
	l.sweep(t)
	if diff := cmp.Diff([]string{"queued", "dead", "2", "3", "4"}, l.there(t)); diff != "" {
		t.Errorf("without the key (-want +got):\n%s", diff)
	}
}

func TestManyAreDeletedInPieces(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{LogCount: 10})
	r := record("")
	for i := range 2*sweepPage + 100 {
		r.ID = fmt.Sprint(i)
		r.Attempt.StartedAt = epoch.Add(time.Duration(i/7) * time.Microsecond)
		l.Log(r)
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.sweep(t)
	if got := l.there(t); len(got) != 10 || got[9] != fmt.Sprint(2*sweepPage+99) {
		t.Errorf("left %v", got)
	}
}

func TestAttemptsAndAnswersGoWithTheirExecution(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{LogAge: time.Hour})
	seq := l.mustAccept(t, example("a"))[0].Seq
	l.mustClaim(t, seq)
	l.mustEnd(t, failed(seq, 1, Queued))
	l.mustClaim(t, seq)
	l.mustEnd(t, succeeded(seq, 2))
	l.wantRows(t, "answer", 1)
	l.wantRows(t, "attempt", 1)
	l.pass(2 * time.Hour)
	l.sweep(t)
	for _, table := range []string{"execution", "answer", "attempt", "payload"} {
		l.wantRows(t, table, 0)
	}
}
