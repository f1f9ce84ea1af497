package worker

import (
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync"
	"time"

	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
	"patchbay.dev/shared/wire"
)

// What is remembered of opened secrets: so many connector versions, none larger
// than so many bytes.
const (
	openedSize    = 10_000
	openedLargest = 4 << 10
)

// lookAgain is how long after a look at the key file the next one may come, if
// someone asks for a key that is not in it.
const lookAgain = 100 * time.Millisecond

// opener opens the secrets of connectors and remembers them: opening takes 40 µs,
// finding them again 1 µs.
type opener struct {
	file *setting.File[*seal.Ring] // nil without a key
	log  *slog.Logger

	mu     sync.RWMutex
	ring   *seal.Ring // that opened
	opened map[[sha256.Size]byte][]byte

	looking sync.Mutex
	looked  time.Time // at the file, for a key that was missing
}

func newOpener(file *setting.File[*seal.Ring], log *slog.Logger) *opener {
	o := &opener{file: file, log: log}
	if file != nil {
		o.use(file.Get)
	}
	return o
}

var errNoRing = errors.New("this worker has no key to open secrets with: set PATCHBAY_SEAL_KEY_FILE")

// open returns the secrets of a connector, or an error that the caller may read.
func (o *opener) open(space string, c *wire.Connector) ([]byte, error) {
	if o.file == nil {
		return nil, errNoRing
	}
	if c.Preconfigured {
		space = seal.EverySpace
	}
	binding := seal.Binding{Space: space, ConnectorID: c.ID, Type: c.Type, Config: c.Config}
	secrets, err := o.openWith(o.use(o.file.Get), c.Secrets, binding)
	if _, ok := errors.AsType[*seal.UnknownKeyError](err); ok {
		return o.openWith(o.look(), c.Secrets, binding)
	}
	return secrets, err
}

// openWith returns secrets from memory, or opens them with ring. Memory is of the
// ring in use, which is this one or a newer.
func (o *opener) openWith(ring *seal.Ring, blob []byte, binding seal.Binding) ([]byte, error) {
	// Of all that opening depends on: a version number would trust whoever sent it.
	key := sha256.Sum256(append(binding.Bytes(), blob...))
	o.mu.RLock()
	secrets, ok := o.opened[key]
	o.mu.RUnlock()
	if ok {
		return secrets, nil
	}
	secrets, err := ring.Open(blob, binding)
	if err != nil || len(secrets) > openedLargest {
		return secrets, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ring != ring {
		return secrets, nil // the keys have changed meanwhile
	}
	if len(o.opened) >= openedSize {
		for any := range o.opened { // map order is as good as random
			delete(o.opened, any)
			break
		}
	}
	o.opened[key] = secrets
	return secrets, nil
}

// use takes the ring that read, of the file, returns. If it is another one, what
// was opened is forgotten: a key that was removed opens nothing any more.
func (o *opener) use(read func() (*seal.Ring, error)) *seal.Ring {
	ring := o.logged(read())
	o.mu.RLock()
	same := o.ring == ring
	o.mu.RUnlock()
	if same {
		return ring
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	// Again, now that nobody else can: an older one must not come after a newer.
	if ring = o.logged(o.file.Get()); o.ring == ring {
		return ring
	}
	if o.ring != nil {
		o.log.Info("keys of the seal have changed", "newest", ring.Public().ID().String())
	}
	o.ring, o.opened = ring, make(map[[sha256.Size]byte][]byte)
	return ring
}

func (o *opener) logged(ring *seal.Ring, err error) *seal.Ring {
	if err != nil {
		o.log.Error("keys of the seal cannot be read", "error", err)
	}
	return ring
}

// look returns the ring as it is after now. A flood of secrets that are sealed to
// a lost key does not become a flood of looks: who comes too early waits.
func (o *opener) look() *seal.Ring {
	missed := time.Now()
	o.looking.Lock()
	defer o.looking.Unlock()
	if o.looked.After(missed) { // someone else, for us too
		return o.use(o.file.Get)
	}
	time.Sleep(time.Until(o.looked.Add(lookAgain)))
	o.looked = time.Now()
	return o.use(o.file.Reload)
}

// reseal seals secrets to the newest key of the file. An item with nothing in it is
// sealed as that: it tells which key is the newest.
func (o *opener) reseal(items []wire.Sealed) []wire.Resealed {
	results := make([]wire.Resealed, len(items))
	if o.file == nil {
		for i := range results {
			results[i].Error = errNoRing.Error()
		}
		return results
	}
	// At once, and not within a second: the key was added to be sealed to.
	ring := o.use(o.file.Reload)
	for i, item := range items {
		secrets, err := resealWith(ring, item)
		if err != nil {
			results[i].Error = err.Error()
			continue
		}
		results[i].Secrets = secrets
	}
	return results
}

func resealWith(ring *seal.Ring, item wire.Sealed) ([]byte, error) {
	if len(item.Binding)+len(item.Secrets) == 0 {
		return ring.Public().Seal(nil, seal.Binding{})
	}
	return ring.Reseal(item.Secrets, item.Binding)
}
