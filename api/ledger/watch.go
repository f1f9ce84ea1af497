package ledger

import "sync"

type watchKey struct{ space, id string }

// watch is a channel that callers share who wait for the same execution.
type watch struct {
	ended chan struct{}
	users int
}

type watches struct {
	mu      sync.Mutex
	waiting map[watchKey]*watch
}

// Watch returns a channel that is closed when the execution is Done or Dead; call stop
// when nobody waits any more. Look whether it has ended after calling Watch.
func (l *Ledger) Watch(space, id string) (ended <-chan struct{}, stop func()) {
	key := watchKey{space, id}
	all := &l.watches
	all.mu.Lock()
	defer all.mu.Unlock()
	w := all.waiting[key]
	if w == nil {
		w = &watch{ended: make(chan struct{})}
		all.waiting[key] = w
	}
	w.users++
	return w.ended, sync.OnceFunc(func() {
		all.mu.Lock()
		defer all.mu.Unlock()
		w.users--
		if w.users == 0 && all.waiting[key] == w { // another may have begun after the end
			delete(all.waiting, key)
		}
	})
}

func (all *watches) end(keys []watchKey) {
	if len(keys) == 0 {
		return
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, key := range keys {
		if w := all.waiting[key]; w != nil {
			close(w.ended)
			delete(all.waiting, key)
		}
	}
}
