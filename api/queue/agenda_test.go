package queue

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/api/ledger"
)

// planning is a feeder whose tickets go nowhere.
type planning struct {
	*bundle
	feeder
	fed int // tickets
}

func plan(t *testing.T) *planning {
	p := &planning{bundle: setup(t)}
	p.feeder = feeder{
		Queue: New(nil, p.bundle.ledger, nil, nil, p.bundle.options, p.bundle.log), agenda: newAgenda(),
		publish: func(context.Context, string, []byte) error { p.fed++; return nil },
	}
	return p
}

// want feeds and checks how many tickets there are so far, and which places are ready.
func (p *planning) want(fed int, ready ...string) (next time.Time) {
	p.TB.Helper()
	next, err := p.feed(p.Context())
	if err != nil {
		p.TB.Fatal(err)
	}
	var got []string
	for at := range p.agenda.ready {
		got = append(got, at.connector)
	}
	slices.Sort(got)
	if diff := cmp.Diff(ready, got); diff != "" || p.fed != fed {
		p.TB.Errorf("%d tickets, want %d; ready (-want +got):\n%s", p.fed, fed, diff)
	}
	return next
}

// begin claims all that is due at a time as if it had been taken from the stream.
func (p *planning) begin(connector string, now time.Time) (seq int64) {
	p.TB.Helper()
	due, _, err := p.bundle.ledger.Due(p.Context(), ledger.Place{Space: "default", ConnectorID: connector, Type: ".index"}, now, 1)
	if err != nil || len(due) != 1 {
		p.TB.Fatalf("%d due, want one; %v", len(due), err)
	}
	p.flight.take([]int64{due[0].Seq})
	if _, err := p.bundle.ledger.Claim(p.Context(), []int64{due[0].Seq}, now); err != nil {
		p.TB.Fatal(err)
	}
	p.flight.begin(due[0].Seq, now)
	return due[0].Seq
}

// end ends attempt n, and the next one is due then.
func (p *planning) end(seq int64, n int, due time.Time) {
	p.TB.Helper()
	e := ledger.Ending{Seq: seq, State: ledger.Queued, DueAt: due, Attempt: ledger.Attempt{Number: n}}
	if err := p.bundle.ledger.End(p.Context(), e); err != nil {
		p.TB.Fatal(err)
	}
	p.leave(seq)
}

func TestPlaceIsLeftAloneUntilItsNextIsDueOrItChanges(t *testing.T) {
	t.Parallel()
	p := plan(t)
	p.accept("a", 1)
	p.want(1, "a") // until it is known that it was claimed
	a := p.begin("a", time.Now())
	p.want(1)
	due := time.Now().Add(time.Hour).Truncate(time.Second)
	p.end(a, 1, due)
	if next := p.want(1); !next.Equal(due) {
		t.Errorf("the feeder looks again at %s, want %s", next, due)
	}
	p.accept("b", 1)
	p.want(2, "b") // a costs nothing
	p.begin("b", time.Now())
	p.want(2)

	p.accept("a", 1) // before the one that waits
	p.want(3, "a")
	p.begin("a", time.Now())
	p.want(3)

	p.agenda.update(p.bundle.ledger, due.Add(-time.Second))
	if len(p.agenda.ready) > 0 {
		t.Errorf("ready a second before its time: %v", p.agenda.ready)
	}
	p.agenda.update(p.bundle.ledger, due)
	if _, there := p.agenda.ready[placeA]; !there || len(p.agenda.later) > 0 || len(p.agenda.times) > 0 {
		t.Errorf("at its time: %+v, want it ready", p.agenda)
	}
}

// A row that could not be claimed is not told by the ledger: it did not change.
func TestRowThatWasNotClaimedIsFedAgain(t *testing.T) {
	t.Parallel()
	p := plan(t)
	p.accept("a", 1)
	p.want(1, "a")
	p.flight.forget(time.Now().Add(time.Hour))
	p.want(2, "a")
}

func TestSweepStartsFromAllThereIs(t *testing.T) {
	t.Parallel()
	p := plan(t)
	p.accept("a", 1)
	p.agenda.version = 1000 // as if its change had been missed
	p.want(0)
	p.sweep(time.Now().Add(p.bundle.options.AckWait))
	p.want(1, "a")
}

// However often places come, go and change their times, the earliest is found.
func TestAgendaKeepsTheOrderOfTimes(t *testing.T) {
	t.Parallel()
	a := newAgenda()
	start := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	for i, p := range []place{placeB, placeA, placeC, placeA} {
		a.wake(p)
		a.putOff(p, start.Add(time.Duration(10-i)*time.Second))
	}
	a.wake(placeC)
	a.putOff(placeC, time.Time{})
	var got []place
	for len(a.times) > 0 {
		got = append(got, a.times[0].place)
		a.wake(a.times[0].place)
	}
	if diff := cmp.Diff([]place{placeA, placeB}, got, cmp.AllowUnexported(place{})); diff != "" || len(a.later) > 0 {
		t.Errorf("in the order of their times (-want +got):\n%s", diff)
	}
}

// Else a row that is larger than half would never come to the end of its patience.
func TestDebtOutlastsWakeUps(t *testing.T) {
	t.Parallel()
	p := plan(t)
	p.flight.bytes = 100
	params := func(size int) func(*ledger.Submission) {
		return func(s *ledger.Submission) { s.Params = append(append([]byte{'"'}, make([]byte, size-2)...), '"') }
	}
	p.accept("a", 1, params(50))
	p.want(1, "a")
	p.begin("a", time.Now())
	p.want(1)
	p.accept("b", 1, params(60))
	p.want(1, "b")
	before := slices.Clone(p.flight.owed)
	p.want(1, "b")
	p.want(1, "b")
	if diff := cmp.Diff(before, p.flight.owed, cmp.AllowUnexported(debt{}, place{})); diff != "" || len(before) != 1 {
		t.Errorf("owed later (-want +got):\n%s", diff)
	}
	p.pauses.of[placeB] = pause{until: time.Now().Add(time.Hour)}
	p.want(1, "b")
	if len(p.flight.owed) > 0 {
		t.Errorf("owed to a place that pauses: %+v", p.flight.owed)
	}
}
