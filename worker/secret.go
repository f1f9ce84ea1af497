package worker

import (
	"crypto/sha256"
	"errors"
	"sync"

	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/wire"
)

// What is remembered of opened secrets: so many connector versions, none larger
// than so many bytes.
const (
	openedSize    = 10_000
	openedLargest = 4 << 10
)

// opener opens the secrets of connectors and remembers them: opening takes 40 µs,
// finding them again 1 µs.
type opener struct {
	ring *seal.Ring // nil without a key

	mu     sync.RWMutex
	opened map[[sha256.Size]byte][]byte
}

func newOpener(ring *seal.Ring) *opener {
	return &opener{ring: ring, opened: make(map[[sha256.Size]byte][]byte)}
}

var errNoRing = errors.New("this worker has no key to open secrets with: set PATCHBAY_SEAL_KEY_FILE")

// open returns the secrets of a connector, or an error that the caller may read.
func (o *opener) open(space string, c *wire.Connector) ([]byte, error) {
	if o.ring == nil {
		return nil, errNoRing
	}
	if c.Preconfigured {
		space = seal.EverySpace
	}
	binding := seal.Binding{Space: space, ConnectorID: c.ID, Type: c.Type, Config: c.Config}
	// Of all that opening depends on: a version number would trust whoever sent it.
	key := sha256.Sum256(append(binding.Bytes(), c.Secrets...))
	o.mu.RLock()
	secrets, ok := o.opened[key]
	o.mu.RUnlock()
	if ok {
		return secrets, nil
	}
	secrets, err := o.ring.Open(c.Secrets, binding)
	if err != nil {
		return nil, err
	}
	if len(secrets) > openedLargest {
		return secrets, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.opened) >= openedSize {
		for any := range o.opened { // map order is as good as random
			delete(o.opened, any)
			break
		}
	}
	o.opened[key] = secrets
	return secrets, nil
}
