package queue

import (
	"errors"
	"testing"
	"time"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/api/ledger"
)

// pausing is pauses and a clock.
type pausing struct {
	*testing.T
	*pauses
	now      time.Time
	inFlight map[int64]time.Time // since when it runs; zero if it waits
}

func newPausing(t *testing.T) *pausing {
	s := &pauses{random: most, trial: longestTrial, of: make(map[place]pause)}
	return &pausing{t, s, time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC), make(map[int64]time.Time)}
}

func (p *pausing) end(at place, seq int64, err error) {
	e := ledger.Ending{Seq: seq, State: ledger.Queued, NotRun: err != nil}
	if gone, ok := errors.AsType[*Gone](err); ok {
		e = ledger.Ending{Seq: seq, State: ledger.Dead, Class: gone.Class}
	}
	p.ended(&e, err, at, p.now)
}

// want looks whether a place may be fed now, and if not, when.
func (p *pausing) want(at place, rows int, wait time.Duration) {
	p.Helper()
	got, next := p.look(at, 10, p.now, func(seq int64) (time.Time, bool) {
		begun, there := p.inFlight[seq]
		return begun, there
	})
	if wait == 0 && (got != rows || !next.IsZero()) || wait != 0 && (got != 0 || next.Sub(p.now) != wait) {
		p.Errorf("%v may be fed %d before %v, want %d and in %s", at, got, next, rows, wait)
	}
}

func TestTypeWithoutWorkerPausesAndIsTriedWithOneRow(t *testing.T) {
	t.Parallel()
	p := newPausing(t)
	p.want(placeA, 10, 0)
	p.end(placeA, 1, dispatch.ErrNoWorker)
	p.end(placeA, 2, dispatch.ErrNoWorker) // it was sent with the other one: not a second time
	p.want(placeA, 0, firstPause)
	p.want(placeB, 0, firstPause) // the same type
	p.want(placeC, 10, 0)

	p.now = p.now.Add(firstPause)
	p.want(placeB, 1, 0)
	p.fed(placeB, 3, p.now)
	p.inFlight[3] = p.now
	p.want(placeA, 0, longestTrial) // it waits for the trial
	p.end(placeA, 2, dispatch.ErrNoWorker)
	p.want(placeA, 0, longestTrial)
	p.end(placeB, 3, dispatch.ErrNoWorker)
	p.want(placeA, 0, 2*firstPause)

	p.now = p.now.Add(2 * firstPause)
	p.fed(placeA, 4, p.now)
	p.want(placeA, 1, 0) // the trial was lost: another one
	p.fed(placeA, 5, p.now)
	p.inFlight[5] = p.now
	p.end(placeA, 5, nil)
	p.want(placeA, 10, 0)
	p.want(placeB, 10, 0)
}

func TestTrialThatRunsForLongHasFoundAWorker(t *testing.T) {
	t.Parallel()
	p := newPausing(t)
	p.end(placeA, 1, dispatch.ErrDisconnected)
	p.now = p.now.Add(firstPause)
	p.fed(placeA, 2, p.now)
	p.now = p.now.Add(longestTrial / 2)
	p.inFlight[2] = p.now
	p.want(placeB, 0, longestTrial)
	p.now = p.now.Add(longestTrial)
	p.want(placeB, 10, 0)
	p.want(placeA, 10, 0)
}

func TestTrialThatIsNotTakenIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	p := newPausing(t)
	p.end(placeA, 1, dispatch.ErrNoWorker)
	p.now = p.now.Add(firstPause)
	p.fed(placeA, 2, p.now)
	p.inFlight[2] = time.Time{}
	p.want(placeB, 0, longestTrial)
	p.now = p.now.Add(longestTrial)
	p.want(placeB, 1, 0)
	p.fed(placeB, 3, p.now)
	p.inFlight[3] = time.Time{}
	p.want(placeA, 0, longestTrial)
}

// That a worker was found says nothing of the place's own reason to pause.
func TestPlaceThatPausesTriesOneRowAfterTheOther(t *testing.T) {
	t.Parallel()
	p := newPausing(t)
	p.end(placeA, 1, dispatch.ErrBusy)
	p.now = p.now.Add(firstPause)
	p.fed(placeA, 2, p.now)
	p.inFlight[2] = p.now
	p.want(placeA, 0, longestTrial)
	p.now = p.now.Add(longestTrial)
	p.want(placeA, 1, 0)
	p.want(placeB, 10, 0)
}

func TestPlaceThatKeepsWorkersBusyPausesAlone(t *testing.T) {
	t.Parallel()
	for _, err := range []error{dispatch.ErrBusy, errors.New("the database is locked")} {
		p := newPausing(t)
		p.end(placeA, 1, err)
		p.want(placeA, 0, firstPause)
		p.want(placeB, 10, 0)
		p.now = p.now.Add(firstPause)
		p.want(placeA, 1, 0)
		p.end(placeB, 2, nil)
		p.want(placeA, 1, 0)
		p.end(placeA, 1, nil)
		p.want(placeA, 10, 0)
	}
}

func TestBusyWorkerIsAWorker(t *testing.T) {
	t.Parallel()
	p := newPausing(t)
	p.end(placeA, 1, dispatch.ErrNoWorker)
	p.end(placeA, 2, dispatch.ErrBusy)
	p.want(placeB, 10, 0)
}

func TestPauseIsNotEndedByWhatNoWorkerSaw(t *testing.T) {
	t.Parallel()
	p := newPausing(t)
	p.end(placeA, 1, dispatch.ErrNoWorker)
	p.end(placeB, 2, errTooOld)
	p.end(placeB, 3, &Gone{Class: ledger.Deleted})
	p.want(placeA, 0, firstPause)

	p.end(placeC, 4, dispatch.ErrBusy)
	p.end(placeC, 5, errTooOld)
	p.want(placeC, 0, firstPause)
	p.end(placeC, 6, &Gone{Class: ledger.Deleted})
	p.want(placeC, 10, 0)
	expired := ledger.Ending{Seq: 7, State: ledger.Dead, Class: ledger.Expired}
	p.ended(&expired, dispatch.ErrBusy, placeC, p.now) // too old to be tried again
	p.want(placeC, 0, firstPause)
}

func TestPausesGrowToTheCeiling(t *testing.T) {
	t.Parallel()
	p := newPausing(t)
	for range 100 {
		p.end(placeA, 1, dispatch.ErrNoWorker)
		p.now = p.now.Add(lastPause)
	}
	p.end(placeA, 1, dispatch.ErrNoWorker)
	p.want(placeA, 0, lastPause)
}
