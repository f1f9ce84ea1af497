package pool

import "context"

// early keeps the last cancels that came before their jobs: they arrive on
// another subscription and may overtake. Most are for jobs of other workers.
type early struct {
	subjects map[string]struct{}
	order    [1024]string // a ring
	next     int
}

func (e *early) add(subject string) {
	if e.subjects == nil {
		e.subjects = make(map[string]struct{}, len(e.order))
	}
	delete(e.subjects, e.order[e.next])
	e.subjects[subject] = struct{}{}
	e.order[e.next] = subject
	e.next = (e.next + 1) % len(e.order)
}

func (e *early) has(subject string) bool {
	_, ok := e.subjects[subject]
	return ok
}

func (p *Pool) remember(reply string, cancel context.CancelCauseFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancels[reply] = cancel
	if p.early.has(reply) {
		cancel(ErrAbandoned)
	}
}

func (p *Pool) forget(reply string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.cancels, reply)
}

func (p *Pool) abandon(reply string) {
	if reply == "" {
		return // a probe
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if cancel := p.cancels[reply]; cancel != nil {
		cancel(ErrAbandoned)
		return
	}
	p.early.add(reply)
}
