package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// ErrFull says that a destination has as many executions as it seems to bear.
var ErrFull = errors.New("the destination has as many executions as it bears")

// PausedError says that a destination has asked not to be called until a time.
type PausedError struct {
	Host  string // with its port
	Until time.Time
}

// Error implements error.
func (e *PausedError) Error() string {
	return fmt.Sprintf("%s asked for no requests until %s: nothing was sent", e.Host, e.Until.UTC().Format(time.RFC3339))
}

const (
	firstVisits = 64               // executions that a destination gets at once before anything is known of it
	maxPause    = 10 * time.Minute // the longest that a destination is left alone; then it can say so again
	maxToldOf   = time.Minute      // the longest on the word of another worker, which could be forged
	maxKnown    = 1024             // destinations that are remembered
)

// visits knows how many executions each destination bears, and which want none.
type visits struct {
	tell func(typeID, host string, left time.Duration) // nil for nobody
	now  func() time.Time

	mu    sync.Mutex
	hosts map[string]*host
}

// host is a destination.
type host struct {
	typeID  string // of those who visit
	running int
	limit   Limit
	until   time.Time             // wants no visit before
	watch   func(until time.Time) // hears of every pause; nil for nobody
}

// HostOf names the destination of a URL: its host with the port.
func HostOf(u *url.URL) string {
	return net.JoinHostPort(strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), port(u))
}

// Enter counts an execution of a type that will make requests to a URL. The error
// says that it must not: a *[PausedError], or [ErrFull], with which it may come again
// soon. What has been let in may go on when its destination asks for a pause, since
// its work would be left half done. Call leave when it is over.
func (l *Layer) Enter(typeID string, u *url.URL) (leave func(), err error) {
	return l.visits.enter(typeID, HostOf(u))
}

// Pause leaves a destination alone, as HostOf names it, since another worker of a type
// was asked to; a minute at the most. It says nothing of a destination of another type:
// who may speak for one type could otherwise stop them all.
func (l *Layer) Pause(typeID, host string, left time.Duration) {
	v := l.visits
	v.mu.Lock()
	defer v.mu.Unlock()
	h := v.host(host)
	if h == nil || h.typeID != "" && h.typeID != typeID {
		return
	}
	h.typeID = typeID
	h.pause(v.now().Add(min(left, maxToldOf)))
}

// Watch has a function called whenever a destination, as HostOf names it, is to be
// left alone until a later time than was known: for an executor with a client and a
// limit of its own, which does not call Enter. It must neither block nor call the
// layer. A destination has one that watches it, and is not forgotten then.
func (l *Layer) Watch(typeID, host string, watch func(until time.Time)) {
	v := l.visits
	v.mu.Lock()
	defer v.mu.Unlock()
	if h := v.host(host); h != nil {
		h.typeID, h.watch = typeID, watch
	}
}

// Asked takes what a destination said to an executor that watches it: the header of
// an answer with status 429 or 503.
func (l *Layer) Asked(typeID, host string, header http.Header) { l.visits.asked(typeID, host, header) }

// listening is a transport from whose answers the layer learns.
type listening struct {
	*visits
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t listening) RoundTrip(req *http.Request) (*http.Response, error) {
	name := HostOf(req.URL)
	cuts := t.cuts(name)
	resp, err := t.next.RoundTrip(req)
	t.hear(req.Context(), name, cuts, resp, err)
	return resp, err
}

func (v *visits) enter(typeID, name string) (leave func(), err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	h := v.host(name)
	if h == nil {
		return func() {}, nil // too many to remember: it is visited as if nothing were known
	}
	if v.now().Before(h.until) {
		return nil, &PausedError{name, h.until}
	}
	if !h.limit.Allows(h.running) {
		return nil, ErrFull
	}
	h.running++
	h.typeID = typeID
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		h.running--
	}, nil
}

// host returns what is known of a destination, nil if no more can be.
func (v *visits) host(name string) *host {
	if h := v.hosts[name]; h != nil {
		return h
	}
	if len(v.hosts) >= maxKnown {
		now := v.now()
		for other, h := range v.hosts {
			if h.running == 0 && h.watch == nil && !now.Before(h.until) {
				delete(v.hosts, other)
			}
		}
		if len(v.hosts) >= maxKnown {
			return nil
		}
	}
	h := &host{limit: NewLimit(firstVisits, 0)}
	v.hosts[name] = h
	return h
}

// cuts returns how often the limit of a destination was cut.
func (v *visits) cuts(name string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	if h := v.hosts[name]; h != nil {
		return h.limit.Cuts()
	}
	return 0
}

// hear learns from what came of a request that began after so many cuts.
func (v *visits) hear(ctx context.Context, name string, cuts int, resp *http.Response, err error) {
	status := 0
	if err == nil {
		status = resp.StatusCode
	}
	v.mu.Lock()
	h := v.hosts[name]
	if h == nil { // a redirect's
		v.mu.Unlock()
		return
	}
	h.limit.Learn(SignOf(ctx, status, err), h.running, cuts)
	typeID := h.typeID
	v.mu.Unlock()
	if wantsLess(status) {
		v.asked(typeID, name, resp.Header)
	}
}

// asked leaves a destination alone for as long as it asked for, and tells of it.
func (v *visits) asked(typeID, name string, header http.Header) {
	now := v.now()
	until, ok := parseRetryAfter(header.Get("Retry-After"), now)
	if !ok || !until.After(now) {
		return
	}
	until = earlier(until, now.Add(maxPause))
	v.mu.Lock()
	h := v.host(name)
	news := h != nil && h.pause(until)
	v.mu.Unlock()
	if news && v.tell != nil {
		v.tell(typeID, name, until.Sub(now))
	}
}

// pause reports whether the time is later than what was known, by more than words
// about one pause differ.
func (h *host) pause(until time.Time) bool {
	if !until.After(h.until) {
		return false
	}
	later := until.Sub(h.until) > time.Second
	h.until = until
	if h.watch != nil {
		h.watch(until)
	}
	return later
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
