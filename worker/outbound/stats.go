package outbound

// Paused returns how many destinations want no visit now, among them those that are
// watched.
func (l *Layer) Paused() (n int) {
	v := l.visits
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	for _, h := range v.hosts {
		if now.Before(h.until) {
			n++
		}
	}
	return n
}
