package index

import (
	"fmt"
	"testing"
)

// What hangs gives its place to others; if those hang as well, each in an index of
// its own, the cluster gets no more of them all the same.
func TestFlightsThatGaveTheirPlaceBackAreBounded(t *testing.T) {
	t.Parallel()
	batching := roomy
	batching.InFlight = 2
	e, _ := setupLimit(t, batching)
	b := e.batches
	var hanging []*flight
	fill := func() int {
		t.Helper()
		for len(hanging) < 100 {
			target := fmt.Sprint("healthy until now ", len(hanging))
			b.mu.Lock()
			if !b.mayLeave(target) {
				b.mu.Unlock()
				break
			}
			f := b.takeOff(target, nil)
			b.mu.Unlock()
			f.delay()
			hanging = append(hanging, f)
		}
		return len(hanging)
	}
	const want = airborneMost * 2
	if got := fill(); got != want {
		t.Errorf("%d flights hang, want %d", got, want)
	}
	hanging[0].land()
	if got := fill(); got != want+1 {
		t.Errorf("%d flights left when one had landed, want %d", got, want+1)
	}
	for _, f := range hanging[1:] {
		f.land()
	}
	if b.airborne != 0 || b.inFlight != 0 {
		t.Errorf("in the end %d are in the air, %d in places, want none", b.airborne, b.inFlight)
	}
}
