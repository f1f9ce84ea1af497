package index

import (
	"context"
	"errors"
	"testing"

	"patchbay.dev/worker/index/elastictest"
	"patchbay.dev/worker/pool"
)

// However those end who wait: as many wait again in their place, and no more.
func TestRoomInTheQueueIsFreeAgain(t *testing.T) {
	t.Parallel()
	size := int64(len(actionFor("a")) + len("{}\n"))
	for name, end := range map[string]func(e *Executor, leave, release func()){
		"sent":        func(_ *Executor, _, release func()) { release() },
		"gone":        func(_ *Executor, leave, release func()) { leave(); release() },
		"turned away": func(e *Executor, _, release func()) { e.pause(clock); release() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batching := roomy
			batching.Queue = 2 * size
			e, cluster := setupBatching(t, batching, elastictest.Options{})
			noPause(e)
			for range 3 {
				release := occupy(t, e, cluster)
				ctx, leave := abandonable(t)
				var waiting []<-chan answer
				for n := range int64(2) {
					waiting = append(waiting, begin(ctx, e, into(t, "a", `{}`)))
					awaitWaiting(t, e, n+1)
				}
				if _, err := e.Execute(t.Context(), into(t, "a", `{}`)); !errors.Is(err, pool.ErrBusy) {
					t.Errorf("the third: %v, want %v", err, pool.ErrBusy)
				}
				end(e, leave, release)
				for _, a := range waiting {
					<-a
				}
			}
		})
	}
}

// Also if the batch was chosen before they left.
func TestWhoHasLeftIsNotAboard(t *testing.T) {
	t.Parallel()
	e, _ := setupBatching(t, roomy, elastictest.Options{})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	waits, gone, late := &member{ctx: t.Context()}, &member{ctx: t.Context(), gone: true}, &member{ctx: over}
	carrier := new(bulk)
	aboard := e.batches.board(carrier, []*member{gone, waits, late})
	if len(aboard) != 1 || aboard[0] != waits || waits.bulk != carrier {
		t.Errorf("%d are aboard, want who still waits", len(aboard))
	}
	if gone.bulk != nil || late.bulk != nil || carrier.members != 1 || !carrier.alone {
		t.Errorf("the request %+v counts who has left", carrier)
	}
}
