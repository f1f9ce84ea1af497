package pool

import (
	"time"

	"patchbay.dev/shared/wire"
)

// End is what became of an execution that came.
type End struct {
	Busy    bool          // it was answered busy, which is all
	Outcome wire.Outcome  // as the caller hears of it
	Took    time.Duration // to run it; 0 if it was not begun
}

func (h *Handler) ended(reply wire.Reply) {
	if h.observe != nil {
		h.observe(End{Outcome: reply.Outcome(), Took: time.Duration(reply.RunMicros) * time.Microsecond})
	}
}

// Running returns how many executions hold a slot now.
func (p *Pool) Running() int {
	p.shares.mu.Lock()
	defer p.shares.mu.Unlock()
	return p.shares.held
}
