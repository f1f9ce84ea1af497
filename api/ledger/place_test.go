package ledger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// since returns the connectors that changed since version, which it moves to now.
func (b *bundle) since(version *uint64) string {
	var places []Place
	places, *version = b.PlacesSince(*version)
	var names []string
	for _, p := range places {
		names = append(names, fmt.Sprint(p.ConnectorID, p.Queued))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestPlacesSinceTellsEveryChange(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{SealParams: mark})
	other := example("other")
	other.ConnectorID = "other"
	b.mustAccept(t, other)
	var version uint64
	var got []string
	note := func(what string) { got = append(got, what+": "+b.since(&version)) }
	note("all")
	note("nothing")
	e := b.mustAccept(t, example("e1"), example("e2"))[0]
	note("accepted")
	b.mustClaim(t, e.Seq)
	note("claimed")
	end := failed(e.Seq, 1, Queued)
	end.DueAt = b.time().Add(time.Hour)
	b.mustEnd(t, end)
	note("queued again")
	b.pass(time.Hour)
	b.mustClaim(t, e.Seq)
	b.mustEnd(t, failed(e.Seq, 2, Dead))
	note("dead")
	if _, err := b.ReplayOne(t.Context(), "default", "e1", nil); err != nil {
		t.Fatal(err)
	}
	note("replayed")
	if err := b.Discard(t.Context(), "default", "e1"); err != nil {
		t.Fatal(err)
	}
	note("discarded")
	note("nothing")
	if err := b.Discard(t.Context(), "default", "e2"); err != nil {
		t.Fatal(err)
	}
	note("gone")
	b.mustAccept(t, example("e3"))
	note("back")
	version = 0
	note("all")
	want := []string{
		"all: other1", "nothing: ", "accepted: alerts2", "claimed: alerts1", "queued again: alerts2", "dead: alerts1",
		"replayed: alerts2", "discarded: alerts1", "nothing: ", "gone: ", "back: alerts1", "all: alerts1 other1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("places with what they have queued (-want +got):\n%s", diff)
	}
}

// One that is claimed and one that is queued again in the same transaction leave the
// count as it was, but another one is due.
func TestChangeThatCancelsOutIsTold(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	p := where(1)
	b.mustAccept(t, example("e"))
	var version uint64
	b.since(&version)
	b.queue.add(map[place]count{{p.Space, p.ConnectorID, p.Type}: {}})
	if got := b.since(&version); got != "alerts1" {
		t.Errorf("told %q, want the place", got)
	}
}

func TestPlacesOfBeforeAreToldOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	b.mustAccept(t, example("e"))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b.Ledger = open(t, b.dir, Options{now: b.time})
	var version uint64
	if first, second := b.since(&version), b.since(&version); first != "alerts1" || second != "" {
		t.Errorf("told %q and then %q, want alerts1 and nothing", first, second)
	}
	b.mustClaim(t, 1)
	b.mustEnd(t, succeeded(1, 1))
	if b.queue.changes.Len() != 0 || len(b.queue.change) != 0 || len(b.queue.places) != 0 {
		t.Errorf("kept of a place that is empty: %+v", b.queue.change)
	}
}
