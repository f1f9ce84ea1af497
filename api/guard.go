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

// Of keys in memory: how long one counts as fresh, since another process may have
// revoked it, and how often their last use is written down.
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
	looked atomic.Int64 // when it was last asked whether there is a key; Unix nanoseconds

	mu         sync.RWMutex
	holders    map[string]*holder // by key id
	generation uint64             // of revocations
}

// holder is a key in use.
type holder struct {
	key   atomic.Pointer[access.Key]
	fresh atomic.Int64 // when the key was read; Unix nanoseconds
	used  atomic.Int64 // last use; Unix milliseconds
	usage *keyUsage
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
	now, looked := time.Now().UnixNano(), g.looked.Load()
	if now-looked < int64(keyFresh) || !g.looked.CompareAndSwap(looked, now) {
		return true, nil
	}
	some, err := g.store.HasKeys(ctx)
	if err != nil {
		g.looked.Store(looked)
		return false, err
	}
	if some {
		g.close()
	}
	return !some, nil
}

// close has everyone need a key from now on.
func (g *guard) close() {
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
	h, err := g.holder(r.Context(), credential.ID, now)
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
func (g *guard) holder(ctx context.Context, id string, now time.Time) (*holder, error) {
	g.mu.RLock()
	h, generation := g.holders[id], g.generation
	g.mu.RUnlock()
	if h == nil {
		key, err := g.store.Key(ctx, id)
		if err != nil {
			return nil, err
		}
		return g.admit(key, generation, now), nil
	}
	fresh := h.fresh.Load()
	// One of those who find it stale reads; the others do not wait for that.
	if now.UnixNano()-fresh < int64(keyFresh) || !h.fresh.CompareAndSwap(fresh, now.UnixNano()) {
		return h, nil
	}
	key, err := g.store.Key(ctx, id)
	if err != nil {
		h.fresh.Store(fresh) // the next one asks again
		if errors.Is(err, store.ErrNoKey) {
			g.forget(id)
		}
		return nil, err
	}
	h.key.Store(&key)
	return h, nil
}

// admit remembers a key that was read, unless any was revoked since the
// generation.
func (g *guard) admit(key access.Key, generation uint64, now time.Time) *holder {
	g.mu.Lock()
	defer g.mu.Unlock()
	if h := g.holders[key.ID]; h != nil { // of two at once, one: they share its limits
		return h
	}
	h := &holder{usage: g.limits.usage()}
	h.key.Store(&key)
	h.fresh.Store(now.UnixNano())
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
		if last := h.used.Load(); last > h.key.Load().LastUsed.UnixMilli() {
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
