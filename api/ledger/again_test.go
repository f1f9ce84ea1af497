package ledger

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
)

func (b *bundle) logGiven(t *testing.T, r Record) {
	t.Helper()
	r.Given = true
	b.Log(r)
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestSecondRunUnderAGivenIDIsItsNextAttempt(t *testing.T) {
	t.Parallel()
	for _, together := range []bool{false, true} {
		l := setup(t, Options{})
		first, second := record("a"), record("a")
		second.Attempt.Outcome, second.Attempt.Failure, second.Bytes = wire.OK, nil, 34
		second.Attempt.DueAt = second.Attempt.StartedAt.Add(-second.Attempt.Queue)
		if together {
			first.Given = true
			l.Log(first)
		} else {
			l.logGiven(t, first)
		}
		l.logGiven(t, second)
		want := []Attempt{first.Attempt, second.Attempt}
		want[0].Last, want[1].Number = false, 2
		e, attempts := l.mustGet(t, "a")
		if diff := cmp.Diff(want, attempts, same); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if e.Outcome != wire.OK || e.MaxAttempts != 2 || e.Bytes != 34 || !e.CreatedAt.Equal(epoch) {
			t.Errorf("%+v", e)
		}
		if got := l.Stats().Dropped; got != 0 {
			t.Errorf("dropped %d", got)
		}
		l.pass(2 * l.options.LogAge)
		l.sweep(t)
		l.wantRows(t, "execution", 0)
		l.wantRows(t, "attempt", 0)
	}
}

func TestRecordUnderTheIDOfAnotherIsDroppedAndCounted(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	l.mustAccept(t, example("queued"))
	l.mustEnd(t, succeeded(l.begin(t, keyed("keyed", 1)).Execution.Seq, 1))
	l.logGiven(t, record("logged"))
	other := record("logged")
	other.ConnectorID = "other"
	for i, r := range []Record{record("queued"), record("keyed"), other} {
		before, _ := l.mustGet(t, r.ID)
		l.logGiven(t, r)
		after, attempts := l.mustGet(t, r.ID)
		if diff := cmp.Diff(before, after, same); diff != "" || len(attempts) > 1 {
			t.Errorf("%s (-want +got):\n%s", r.ID, diff)
		}
		if got := l.Stats().Dropped; got != uint64(i)+1 {
			t.Errorf("%s: dropped %d, want %d", r.ID, got, i+1)
		}
	}
}

// One id that a caller chose leaves the others on the fast path, and none out.
func TestGivenIDsAmongOthers(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	const n = 5 * recordRows
	release := l.hold(t)
	for i := range n {
		r := record(fmt.Sprint(i))
		if r.Given = i%50 == 40; r.Given {
			r.ID = "given"
		}
		l.Log(r)
	}
	release()
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.wantRows(t, "execution", n-2)
	l.wantRows(t, "attempt", 2)
	if e, _ := l.mustGet(t, "given"); e.Attempt.Number != 3 {
		t.Errorf("%+v", e)
	}
}
