package api

import (
	"testing"
	"time"
)

// awaitWait returns when someone waits for those who are inside.
func (p *passage) awaitWait(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		p.mu.Lock()
		begun := p.inside == nil
		p.mu.Unlock()
		if begun {
			return
		}
	}
	t.Fatal("nobody waits")
}

func TestPassageWaitsForThoseWhoAreInside(t *testing.T) {
	t.Parallel()
	var p passage
	p.wait() // nobody
	leave := p.enter()
	waited := make(chan struct{})
	go func() { p.wait(); close(waited) }()
	p.awaitWait(t)
	defer p.enter()() // who comes later is not waited for
	select {
	case <-waited:
		t.Error("it did not wait")
	default:
	}
	leave()
	await(t, waited)
}
