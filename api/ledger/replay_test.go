package ledger

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
)

func TestReplayedLetterRunsUnderItsIDAndKey(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{SealParams: mark})
	s := keyed("a", 1)
	s.Access = &wire.Access{Key: "k", Indices: []string{"a"}}
	dead := l.kill(t, s)
	now := l.pass(48 * time.Hour)
	e, err := l.ReplayOne(t.Context(), "default", "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := dead
	want.State, want.Class, want.QueuedAt, want.DueAt, want.EndedAt = Queued, "", now, now, time.Time{}
	want.MaxAttempts, want.Replayable, want.Attempt.Last = 4, false, false // one was had, and three more
	if diff := cmp.Diff(want, e, same); diff != "" {
		t.Errorf("replayed (-want +got):\n%s", diff)
	}
	l.wantQueued(t, 1, 1)
	job := l.mustClaim(t, e.Seq)
	if job.Params != nil || string(job.SealedParams) != `sealed default/alerts/.index/a {"id":"a"}` || job.Attempt.Number != 2 ||
		job.Key != "key" || job.Lost != 0 || job.Access == nil {
		t.Errorf("job %+v", job)
	}
	// Dead again its params are still there, and not sealed twice.
	l.mustEnd(t, failed(e.Seq, 2, Dead))
	if e, err = l.ReplayOne(t.Context(), "default", "a", nil); err != nil || e.MaxAttempts != 5 {
		t.Errorf("%+v, %v", e, err)
	}
	if again := l.mustClaim(t, e.Seq); string(again.SealedParams) != string(job.SealedParams) {
		t.Errorf("sealed %q", again.SealedParams)
	}
	l.mustEnd(t, succeeded(e.Seq, 3))
	l.wantRows(t, "payload", 0)
	if _, attempts := l.mustGet(t, "a"); len(attempts) != 3 {
		t.Errorf("attempts %+v", attempts)
	}
}

func TestReplayOfWhatIsNoDeadLetterIsRefused(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	l.mustAccept(t, example("queued"))
	l.kill(t, example("dead"))
	for id, want := range map[string]error{"queued": ErrNotDead, "dead": ErrNoParams, "nobody": ErrNotFound} {
		if _, err := l.ReplayOne(t.Context(), "default", id, nil); !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", id, err, want)
		}
	}
	if _, err := l.ReplayOne(t.Context(), "other", "dead", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("another space: %v", err)
	}
	l.wantQueued(t, 1, 1)
}

func TestReplayByFilterSpreadsWhatIsDue(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{SealParams: mark})
	const letters = replayPiece + 4 // in two pieces
	submissions := make([]Submission, letters)
	for i := range submissions {
		submissions[i] = example(fmt.Sprint(i))
		if i == 3 {
			submissions[i].ConnectorID = "other"
		}
	}
	var seqs []int64
	for _, e := range l.mustAccept(t, submissions...) {
		seqs = append(seqs, e.Seq)
	}
	if _, err := l.Claim(t.Context(), seqs, l.time()); err != nil {
		t.Fatal(err)
	}
	for _, seq := range seqs[1:] {
		l.mustEnd(t, failed(seq, 1, Dead))
	}
	if err := l.do(t.Context(), &op{weight: 1, apply: func(g *group) error { // one died when no params were kept
		_, err := g.exec(`UPDATE execution SET replayable = 0 WHERE id = '5'`)
		return err
	}}); err != nil {
		t.Fatal(err)
	}
	filter := Filter{ConnectorID: "alerts", Spaces: []string{"default"}, Classes: []Class{Exhausted}}
	for _, dryRun := range []bool{true, false} {
		replayed, skipped, err := l.Replay(t.Context(), filter, 10, dryRun, nil)
		if replayed != letters-3 || skipped != 1 || err != nil {
			t.Errorf("dry run %t: %d replayed, %d skipped, %v", dryRun, replayed, skipped, err)
		}
		if dryRun {
			l.wantQueued(t, 0, 1)
		}
	}
	l.wantQueued(t, letters-3, letters-2)
	place := where(0)
	for seconds, want := range map[int]int{0: 1, 1: 11, 30: 301, 60: letters - 3} {
		due, _, err := l.Due(t.Context(), place, l.time().Add(time.Duration(seconds)*time.Second), 10_000)
		if len(due) != want || err != nil {
			t.Errorf("after %d s %d are due, want %d; %v", seconds, len(due), want, err)
		}
	}
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{SealParams: mark})
	l.kill(t, example("dead"))
	retried := l.mustAccept(t, example("retried"), example("queued"), example("running"))
	l.mustClaim(t, retried[0].Seq)
	l.mustEnd(t, failed(retried[0].Seq, 1, Queued))
	l.mustClaim(t, retried[2].Seq)
	watched, stop := l.Watch("default", "queued")
	defer stop()
	for range 2 { // the second changes nothing
		for id, want := range map[string]error{"dead": nil, "retried": nil, "queued": nil, "running": ErrRunning, "nobody": ErrNotFound} {
			if err := l.Discard(t.Context(), "default", id); !errors.Is(err, want) {
				t.Errorf("%s: error %v, want %v", id, err, want)
			}
		}
		l.wantQueued(t, 0, 1)
		l.pass(time.Hour)
	}
	<-watched
	got := map[string]string{}
	for _, id := range []string{"dead", "retried", "queued"} {
		e, attempts := l.mustGet(t, id)
		got[id] = fmt.Sprint(e.State, " ", e.Class, " ", e.Outcome, " ", e.EndedAt.Sub(epoch), " ", len(attempts), " ", e.Attempt.Number, " ", e.Replayable)
	}
	want := map[string]string{
		"dead": "done exhausted error 1s 1 1 false", "retried": "done  cancelled 0s 1 1 false", "queued": "done  cancelled 0s 0 0 false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("discarded (-want +got):\n%s", diff)
	}
	l.wantRows(t, "payload", 1)
	e, _ := l.mustGet(t, "queued")
	if reply, err := l.Answer(t.Context(), &e); err != nil || reply.Failure == nil {
		t.Errorf("answer %+v, %v", reply, err)
	}
}

func TestDiscardedExecutionMayBeAskedForAgain(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	s := keyed("a", 1)
	s.Safe = true
	seq := l.mustAccept(t, s)[0].Seq
	l.mustClaim(t, seq)
	l.mustEnd(t, failed(seq, 1, Queued))
	if err := l.Discard(t.Context(), "default", "a"); err != nil {
		t.Fatal(err)
	}
	if a := l.accept1(t, keyed("b", 1)); a.Known || a.Execution.ID != "a" || a.Execution.MaxAttempts != 4 {
		t.Errorf("%+v", a)
	}
	if job := l.mustClaim(t, seq); job.Attempt.Number != 2 || string(job.Params) != `{"id":"b"}` {
		t.Errorf("job %+v", job)
	}
	l.mustEnd(t, succeeded(seq, 2))
	if _, attempts := l.mustGet(t, "a"); len(attempts) != 2 || attempts[0].Outcome != wire.Error {
		t.Errorf("attempts %+v", attempts)
	}
}
