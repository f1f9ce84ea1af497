package dispatch

import (
	"context"
	"sync"
	"time"
)

const (
	// pipeMiB is how much of large questions may be under way to workers that have
	// not been heard of since. Silence counts from the moment of sending: behind more
	// than this a worker that is well would seem dead on a slow machine.
	pipeMiB = 16
	// large are the questions that count, in bytes. Of others a few thousand fit.
	large = 256 << 10
)

// pipe is the way to the workers of a type, as wide as there are tokens, one for each MiB.
type pipe struct {
	turn   chan struct{} // of who takes tokens: two at once could end with half of theirs each
	tokens chan struct{}
}

// pipes are the ways to the workers of each type: those of one that hang are in the
// way of no other's.
type pipes struct {
	mu  sync.Mutex
	all map[string]*pipe
}

func (p *pipes) to(typeID string) *pipe {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = make(map[string]*pipe)
	}
	if p.all[typeID] == nil {
		p.all[typeID] = newPipe()
	}
	return p.all[typeID]
}

func newPipe() *pipe {
	return &pipe{turn: make(chan struct{}, 1), tokens: make(chan struct{}, pipeMiB)}
}

// enter waits until a question of so many bytes may be sent. Call heard when a
// worker was heard of, once or more often. The error is [ErrBusy] if the time is up
// before, or the context's cause.
func (p *pipe) enter(ctx context.Context, size int, deadline time.Time) (heard func(), err error) {
	if size < large {
		return func() {}, nil
	}
	timer := time.NewTimer(time.Until(deadline) - leastTry)
	defer timer.Stop()
	take := func(from chan struct{}) error {
		select {
		case from <- struct{}{}:
			return nil
		case <-timer.C:
			return ErrBusy
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := take(p.turn); err != nil {
		return nil, err
	}
	defer func() { <-p.turn }()
	taken := 0
	giveBack := func() {
		for range taken {
			<-p.tokens
		}
	}
	for range min((size+1<<20-1)>>20, pipeMiB) {
		if err := take(p.tokens); err != nil {
			giveBack()
			return nil, err
		}
		taken++
	}
	return sync.OnceFunc(giveBack), nil
}
