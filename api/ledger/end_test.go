package ledger

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

func (l *Ledger) mustExec(t *testing.T, statement string) {
	t.Helper()
	if err := l.do(t.Context(), &op{weight: 1, apply: func(g *group) error {
		_, err := g.exec(statement)
		return err
	}}); err != nil {
		t.Error(err)
	}
}

// A disk that fails for a moment tells so in many ways.
func TestEndTriesAgainWhateverKeptItFromBeingWritten(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	seq := l.mustAccept(t, example("a"))[0].Seq
	l.mustClaim(t, seq)
	l.mustExec(t, `CREATE TRIGGER fault BEFORE UPDATE ON execution BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END`)
	impatient, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer stop()
	if err := l.End(impatient, succeeded(seq, 1)); err == nil || !strings.Contains(err.Error(), "disk I/O error") {
		t.Errorf("until the caller gives up: %v", err)
	}
	release := l.hold(t)
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := l.End(t.Context(), succeeded(seq, 1)); err != nil {
			t.Errorf("end: %v", err)
		}
	})
	l.waits(t, 1)
	ended.Go(func() { l.mustExec(t, `DROP TRIGGER fault`) }) // after the end was tried
	l.waits(t, 2)
	release()
	ended.Wait()
	if e, _ := l.mustGet(t, "a"); e.State != Done {
		t.Errorf("%+v", e)
	}
}

func TestEndOfAClosedLedgerIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.End(t.Context(), succeeded(1, 1)); !errors.Is(err, errClosed) {
		t.Errorf("error %v", err)
	}
}

func TestEndIsWrittenThoughTheParamsCouldNotBeRead(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{SealParams: mark})
	for deadline := time.Now().Add(10 * time.Second); l.unsealed.Load(); time.Sleep(time.Millisecond) { // until the first sweep
		if time.Now().After(deadline) {
			t.Fatal("no sweep")
		}
	}
	seq := l.mustAccept(t, example("a"))[0].Seq
	l.mustClaim(t, seq)
	l.mustExec(t, `ALTER TABLE payload RENAME TO hidden`)
	release := l.hold(t)
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := l.End(t.Context(), failed(seq, 1, Dead)); err != nil {
			t.Errorf("end: %v", err)
		}
	})
	l.waits(t, 1)
	ended.Go(func() { l.mustExec(t, `ALTER TABLE hidden RENAME TO payload`) })
	l.waits(t, 2)
	release()
	ended.Wait()
	if e, _ := l.mustGet(t, "a"); e.State != Dead || !e.Replayable {
		t.Errorf("%+v", e)
	}
	if err := l.sealLeft(t.Context()); err != nil {
		t.Error(err)
	}
	if sealed, err := l.SealedParams(t.Context(), 0, 10); len(sealed) != 1 || err != nil {
		t.Errorf("sealed %v, %v", sealed, err)
	}
}
