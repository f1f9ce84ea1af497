package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"patchbay.dev/api/access"
	"patchbay.dev/api/store"
	"patchbay.dev/shared/wire"
)

// Of keys in memory: how old what is known of one may be, since another process may
// have revoked it, and how often their last use is written down.
const (
	keyFresh     = time.Second
	keyUsedEvery = 30 * time.Second
)

// guard knows who calls: it keeps the keys that are in use in memory.
type guard struct {
	store  *store.Store
	log    *slog.Logger
	off    bool // nobody needs a key
	limits keyLimits

	// closed is set once a key was seen and stays: a door does not open by itself
	// when the last key is revoked.
	closed atomic.Bool
	looked freshness // when it was last asked whether there is a key

	mu         sync.RWMutex
	holders    map[string]*holder // by key id
	generation uint64             // of revocations
}

// holder is a key in use.
type holder struct {
	key   atomic.Pointer[access.Key]
	fresh freshness    // when the key was read
	used  atomic.Int64 // last use; Unix milliseconds
	usage *keyUsage
}

// freshness bounds the age of what is known: from half of it on one caller learns
// anew while the others go on, and at its end all wait for that.
type freshness struct {
	mu sync.Mutex // held by who learns
	at atomic.Int64
}

// began is what ages are counted from: the clock on the wall may be set back.
var began = time.Now()

func (f *freshness) age() time.Duration { return time.Since(began) - time.Duration(f.at.Load()) }

func (f *freshness) now() { f.at.Store(int64(time.Since(began))) }

// renew calls learn if it is time to, and returns what it does.
func (f *freshness) renew(learn func() error) error {
	age := f.age()
	switch {
	case age < keyFresh/2:
		return nil
	case age < keyFresh && !f.mu.TryLock():
		return nil
	case age >= keyFresh:
		f.mu.Lock()
	}
	defer f.mu.Unlock()
	if f.age() < keyFresh/2 { // someone else has, while we waited
		return nil
	}
	asked := time.Since(began) // what happens after that may not be in the answer
	if err := learn(); err != nil {
		return err
	}
	f.at.Store(int64(asked))
	return nil
}

// errNoFirstKey stops a start that would serve everyone.
type errNoFirstKey struct{ addr, program string }

func (e errNoFirstKey) Error() string {
	return fmt.Sprintf("others can reach PATCHBAY_HTTP_ADDR=%s, and there is no API key yet: make the first one with"+
		" `%s keys create -name admin -admin`, or set PATCHBAY_AUTH=off to serve everyone without", e.addr, e.program)
}

// start decides whether keys are asked for.
func (g *guard) start(ctx context.Context, loopback bool, missing error) error {
	if g.off {
		g.log.Warn("authentication is off: whoever reaches the API may do everything")
		return nil
	}
	some, err := g.store.HasKeys(ctx)
	if err != nil {
		return err
	}
	if !some && !loopback {
		return missing
	}
	if !some {
		g.log.Info("there is no API key: everyone on this machine may do everything, credentials are ignored")
	}
	g.closed.Store(some)
	g.looked.now()
	return nil
}

// open reports whether everyone may do everything. Once there is a key, made here
// or by another process, nobody may without one.
func (g *guard) open(ctx context.Context) (bool, error) {
	if g.off {
		return true, nil
	}
	if g.closed.Load() {
		return false, nil
	}
	err := g.looked.renew(func() error {
		some, err := g.store.HasKeys(ctx)
		if some {
			g.close()
		}
		return err
	})
	return err == nil && !g.closed.Load(), err
}

// close has everyone need a key from now on.
func (g *guard) close() {
	if g.off {
		return
	}
	if !g.closed.Swap(true) {
		g.log.Info("there is an API key now: requests without one are refused")
	}
}

// authenticate returns the holder of the key that the request carries, nil while
// keys are not asked for. The error is a *[problem] with 401 unless the store is
// out of order.
func (g *guard) authenticate(r *http.Request) (*holder, error) {
	open, err := g.open(r.Context())
	if open || err != nil {
		return nil, err
	}
	credential, err := access.ParseAuthorization(r.Header.Values("Authorization"))
	switch {
	case errors.Is(err, access.ErrMissing):
		return nil, unauthorized("missing authentication credentials for REST request [" + r.URL.Path + "]")
	case err != nil:
		return nil, unauthorized(err.Error())
	}
	now := time.Now()
	h, err := g.holder(r.Context(), credential.ID)
	if err != nil && !errors.Is(err, store.ErrNoKey) {
		return nil, err
	}
	if err != nil || !h.key.Load().Matches(credential.Secret) {
		return nil, unauthorized("unable to authenticate with provided credentials and anonymous access is not allowed for this request")
	}
	if h.key.Load().Expired(now) { // told only to who has the secret
		return nil, unauthorized("the API key has expired")
	}
	h.used.Store(now.UnixMilli())
	return h, nil
}

// holder returns who holds the key id, from memory while it is fresh. An id that
// is unknown is asked for anew each time, which costs what a read costs and
// leaves nothing behind.
func (g *guard) holder(ctx context.Context, id string) (*holder, error) {
	g.mu.RLock()
	h, generation := g.holders[id], g.generation
	g.mu.RUnlock()
	if h == nil {
		read := time.Since(began)
		key, err := g.store.Key(ctx, id)
		if err != nil {
			return nil, err
		}
		return g.admit(key, generation, read), nil
	}
	err := h.fresh.renew(func() error {
		key, err := g.store.Key(ctx, id)
		if errors.Is(err, store.ErrNoKey) {
			g.forget(id)
		}
		if err == nil {
			h.key.Store(&key)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

// still returns who calls after some time has gone by: the same, unless his key
// was revoked or has expired, or a key is asked for by now.
func (g *guard) still(r *http.Request, h *holder) (*holder, error) {
	if h != nil {
		g.mu.RLock()
		same := g.holders[h.key.Load().ID] == h
		g.mu.RUnlock()
		if same && h.fresh.age() < keyFresh && !h.key.Load().Expired(time.Now()) {
			return h, nil
		}
	}
	return g.authenticate(r)
}

// admit remembers a key that was read, unless any was revoked since the
// generation.
func (g *guard) admit(key access.Key, generation uint64, read time.Duration) *holder {
	g.mu.Lock()
	defer g.mu.Unlock()
	if h := g.holders[key.ID]; h != nil { // of two at once, one: they share its limits
		return h
	}
	h := &holder{usage: g.limits.usage()}
	h.key.Store(&key)
	h.fresh.at.Store(int64(read))
	if g.generation != generation {
		return h
	}
	if g.holders == nil {
		g.holders = make(map[string]*holder)
	}
	g.holders[key.ID] = h
	return h
}

// forget drops keys that were revoked, before that is answered.
func (g *guard) forget(ids ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.generation++
	for _, id := range ids {
		delete(g.holders, id)
	}
}

// writeUsed keeps when each key was used last, all in one write.
func (g *guard) writeUsed(ctx context.Context) error {
	used := make(map[string]time.Time)
	g.mu.RLock()
	for id, h := range g.holders {
		if last := h.used.Load(); last > 0 && last > h.key.Load().LastUsed.UnixMilli() {
			used[id] = time.UnixMilli(last)
		}
	}
	g.mu.RUnlock()
	return g.store.MarkKeysUsed(ctx, used)
}

// keepUsed writes now and then when keys were used, until ctx ends, and then once
// more.
func (g *guard) keepUsed(ctx context.Context) {
	tick := time.NewTicker(keyUsedEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		if err := g.writeUsed(context.WithoutCancel(ctx)); err != nil {
			g.log.Error("last use of API keys was not kept", "error", err)
		}
	}
}

// may reports whether the caller has the privilege in a space; without keys
// everyone has every one.
func (h *holder) may(level access.Level, space string) bool {
	return h == nil || h.key.Load().Privileges.Allow(level, space)
}

// access is what an execution of the caller may reach; nil for everything.
func (h *holder) access() *wire.Access {
	if h == nil {
		return nil
	}
	key := h.key.Load()
	if key.Privileges.Indices == nil {
		return nil
	}
	return &wire.Access{Key: key.ID, Indices: key.Privileges.Indices}
}

// user names the caller for people: name and id of his key.
func (h *holder) user() (name, id string) {
	if h == nil {
		return "", ""
	}
	key := h.key.Load()
	return strings.ToValidUTF8(key.Name, ""), key.ID
}
