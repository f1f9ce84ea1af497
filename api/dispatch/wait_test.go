package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
)

// asked counts how often n calls for one connector ask within ten seconds
// in which every worker is busy.
func asked(t *testing.T, n, size int) (questions int) {
	t.Helper()
	var w waiting
	var count atomic.Int64
	synctest.Test(t, func(t *testing.T) {
		deadline := time.Now().Add(10 * time.Second)
		var callers sync.WaitGroup
		for range n {
			callers.Go(func() {
				one := turn{waiting: &w, connector: "c", size: size}
				defer one.end()
				for one.next(t.Context(), deadline) == nil {
					count.Add(1)
				}
				if left := time.Until(deadline); left < 0 || left > 300*time.Millisecond {
					t.Errorf("gave up %s before the end", left)
				}
			})
		}
		callers.Wait()
	})
	if len(w.connectors) > 0 {
		t.Errorf("left: %v", w.connectors)
	}
	return int(count.Load())
}

func TestWaitingCallsOfOneConnectorCostTogetherLittle(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ calls, size, least, most int }{
		{1, 100, 40, 80},         // four to eight a second
		{400, 100, 2_000, 6_000}, // 333 a second for hundreds, the beginning apart
		{20, 8 << 20, 120, 500},  // fewer of large ones
	} {
		if got := asked(t, test.calls, test.size); got < test.least || got > test.most {
			t.Errorf("%d calls of %d bytes ask %d times in ten seconds, want %d to %d", test.calls, test.size, got, test.least, test.most)
		}
	}
}

func TestCallsWaitAsLongAsBeforeOnceOthersAreAnswered(t *testing.T) {
	t.Parallel()
	var w waiting
	w.join("c", 100, 0)
	wait := func(times int) (least time.Duration) {
		for range times {
			least = w.least("c")
		}
		return least
	}
	if got, want := wait(1), 100*waitPerCall; got != want {
		t.Errorf("the first waits %s, want %s", got, want)
	}
	if got, want := wait(100), 100*mostPerCall; got != want {
		t.Errorf("with no answer they wait %s, want %s", got, want)
	}
	for range 2 {
		w.answered("c")
		w.answered("another")
	}
	if got, want := wait(1), 100*waitPerCall; got != want {
		t.Errorf("after answers they wait %s, want %s", got, want)
	}
	if len(w.connectors) != 1 {
		t.Errorf("known: %v", w.connectors)
	}
}

func TestCallsOfAnotherConnectorDoNotWaitLonger(t *testing.T) {
	t.Parallel()
	var w waiting
	w.join("hanging", 1000, 8<<20)
	if got := w.least("healthy"); got != 0 {
		t.Errorf("wait of another connector: %s, want none", got)
	}
	if got := w.least("hanging"); got != longestWait {
		t.Errorf("wait of the connector: %s, want %s", got, longestWait)
	}
}

func TestCallerWhoLeavesWaitsNoLonger(t *testing.T) {
	t.Parallel()
	var w waiting
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	one := turn{waiting: &w, connector: "c"}
	if err := one.next(ctx, time.Now().Add(time.Hour)); !errors.Is(err, context.Canceled) {
		t.Errorf("next: %v, want %v", err, context.Canceled)
	}
	one.end()
	if len(w.connectors) > 0 {
		t.Errorf("left: %v", w.connectors)
	}
}

// Also when it was refused before: what is sent again is the same but for the time.
func TestEveryQuestionOfACallIsWhole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var n atomic.Int64
	b.serve(t, func(msg *nats.Msg) {
		var request wire.Request
		if err := json.Unmarshal(msg.Data, &request); err != nil || request.ExecutionID != "e" || string(request.Params) != `{"b":1.0}` || request.TimeLeft <= 0 {
			t.Errorf("question %s: %v", msg.Data, err)
		}
		if n.Add(1) < 8 {
			respond(t, msg, signalHeader(wire.Busy), "")
			return
		}
		respond(t, msg, nil, fmt.Sprintf(`{"data":%d}`, n.Load()))
	})
	reply, err := b.ask(t.Context(), 1100*time.Millisecond) // the digits of the time become fewer
	if err != nil || string(reply.Data) != "8" {
		t.Errorf("Ask: %+v, %v, want the eighth answer", reply, err)
	}
}

// The first question of each call would otherwise be most of what a destination that
// hangs costs everyone else.
func TestNewCallWaitsItsTurnWhereNothingIsAnswered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	asked := make(chan struct{}, 1)
	b.serve(t, func(msg *nats.Msg) {
		select {
		case asked <- struct{}{}:
		default:
		}
		respond(t, msg, nil, `{}`)
	})
	w := &b.waiting
	w.join("c", 1000, 0) // of 1000, each waits 2 s
	for !w.stuck("c") {
		w.least("c")
	}
	ctx, leave := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	left := make(chan error, 1)
	go func() {
		_, err := b.ask(ctx, time.Minute)
		left <- err
	}()
	for w.crowded("c") != 1001 {
		runtime.Gosched()
	}
	leave(gone)
	if err := <-left; !errors.Is(err, gone) || len(asked) > 0 {
		t.Errorf("a call that waits its turn and whose caller leaves: %v, asked %d times", err, len(asked))
	}
	w.answered("c")
	if w.stuck("c") {
		t.Error("it is stuck after an answer")
	}
	w.join("c", -1000, 0)
	if _, err := b.ask(t.Context(), patience); err != nil {
		t.Errorf("a call once some are answered: %v", err)
	}
	<-asked
}

func (w *waiting) crowded(connector string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.connectors[connector].calls
}
