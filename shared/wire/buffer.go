package wire

import "sync"

// Buffers lends memory for messages that are copied when they are published. The
// zero value is ready for use, also by several at once.
type Buffers struct{ pool sync.Pool }

// keptBuffer is the largest buffer that is kept, in bytes: a rare large message
// should not hold its memory for those that follow.
const keptBuffer = 64 << 10

// Get returns an empty buffer with room for size bytes. Give it back with Put.
func (p *Buffers) Get(size int) *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok && cap(*b) >= size {
		return b
	}
	b := make([]byte, 0, size)
	return &b
}

// Put takes back a buffer that nobody reads any more.
func (p *Buffers) Put(b *[]byte) {
	if cap(*b) <= keptBuffer {
		*b = (*b)[:0]
		p.pool.Put(b)
	}
}
