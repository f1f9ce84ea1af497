package ledger

import (
	"testing"

	"patchbay.dev/shared/wire"
)

// What takes the process down whenever it runs does so as often as it has attempts.
func TestRestartGivesUpWhatHasHadItsAttempts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	options := Options{SealParams: mark}
	l := open(t, dir, options)
	s := keyed("a", 1)
	s.Safe, s.MaxAttempts = true, 3
	seq := l.mustAccept(t, s)[0].Seq
	for n := range s.MaxAttempts {
		l.mustClaim(t, seq)
		if err := l.Close(); err != nil { // as a kill would: nothing ended
			t.Fatal(err)
		}
		l = open(t, dir, options)
		want := Recovered{Queued: 1}
		if n == s.MaxAttempts-1 {
			want = Recovered{Dead: 1}
		}
		if got := l.Recovered(); got != want {
			t.Errorf("attempt %d: %+v, want %+v", n+1, got, want)
		}
	}
	e, attempts := l.mustGet(t, "a")
	if e.State != Dead || e.Class != Exhausted || e.Outcome != wire.Unknown || !e.Replayable || len(attempts) != 3 {
		t.Errorf("%+v after %d attempts", e, len(attempts))
	}
	l.wantQueued(t, 0, 0)
	if err := l.sealAll(t.Context()); err != nil {
		t.Error(err)
	}
	if sealed, err := l.SealedParams(t.Context(), 0, 10); err != nil || len(sealed) != 1 {
		t.Errorf("sealed %v, %v", sealed, err)
	}
}
