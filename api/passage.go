package api

import "sync"

// passage lets everyone through and counts them, so that one can wait until all
// who are inside now have left. It holds nobody up.
type passage struct {
	mu     sync.Mutex
	inside *sync.WaitGroup // since the last wait
}

// enter counts the caller until it calls leave.
func (p *passage) enter() (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inside == nil {
		p.inside = new(sync.WaitGroup)
	}
	p.inside.Add(1)
	return p.inside.Done
}

// wait returns when everyone has left who was inside when it was called. One at a
// time may wait.
func (p *passage) wait() {
	p.mu.Lock()
	before := p.inside
	p.inside = nil
	p.mu.Unlock()
	if before != nil {
		before.Wait()
	}
}
