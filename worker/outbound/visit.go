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

// host is a destination. Its limit goes up by one for every answer, since a cut for
// as many answers as it counts, and is cut in half by what says that there is too
// much to do.
type host struct {
	typeID  string // of those who visit
	running int
	limit   float64
	cut     time.Time // when the limit was cut last
	until   time.Time // wants no visit before
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

// Pause leaves a destination alone, as HostOf names it, since another worker was
// asked to; a minute at the most.
func (l *Layer) Pause(host string, left time.Duration) {
	v := l.visits
	v.mu.Lock()
	defer v.mu.Unlock()
	if h := v.host(host); h != nil {
		h.pause(v.now().Add(min(left, maxToldOf)))
	}
}

// Listening returns a transport from whose answers the layer learns as from its own:
// for executors with a client of their own, which call Enter as well.
func (l *Layer) Listening(next http.RoundTripper) http.RoundTripper { return listening{l.visits, next} }

type listening struct {
	*visits
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t listening) RoundTrip(req *http.Request) (*http.Response, error) {
	began := t.now()
	resp, err := t.next.RoundTrip(req)
	t.hear(req, began, resp, err)
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
	if h.running >= int(h.limit) {
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
			if h.running == 0 && !now.Before(h.until) {
				delete(v.hosts, other)
			}
		}
		if len(v.hosts) >= maxKnown {
			return nil
		}
	}
	h := &host{limit: firstVisits}
	v.hosts[name] = h
	return h
}

// hear learns from what came of a request that began at a time.
func (v *visits) hear(req *http.Request, began time.Time, resp *http.Response, err error) {
	name := HostOf(req.URL)
	v.mu.Lock()
	h := v.hosts[name]
	if h == nil { // a redirect's
		v.mu.Unlock()
		return
	}
	now := v.now()
	switch {
	case err != nil && timedOut(req.Context(), err):
		h.tooMuch(began, now)
	case err != nil:
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusServiceUnavailable:
		h.tooMuch(began, now)
	case resp.StatusCode < 500:
		h.well()
	}
	var told time.Duration
	if err == nil && (resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable) {
		if until, ok := parseRetryAfter(resp.Header.Get("Retry-After"), now); ok && h.pause(earlier(until, now.Add(maxPause))) {
			told = h.until.Sub(now)
		}
	}
	typeID := h.typeID
	v.mu.Unlock()
	if told > 0 && v.tell != nil {
		v.tell(typeID, name, told)
	}
}

// timedOut tells a destination that does not answer from a caller who left.
func timedOut(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return errors.Is(ctx.Err(), context.DeadlineExceeded)
	}
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

func (h *host) well() {
	switch {
	case float64(h.running) < h.limit/2: // it has not been tried
	case h.cut.IsZero():
		h.limit++
	default:
		h.limit += 1 / h.limit
	}
}

// tooMuch cuts the limit once for all requests that were under way together.
func (h *host) tooMuch(began, now time.Time) {
	if began.Before(h.cut) {
		return
	}
	h.limit, h.cut = max(1, h.limit/2), now
}

// pause reports whether the time is later than what was known, by more than words
// about one pause differ.
func (h *host) pause(until time.Time) bool {
	if !until.After(h.until) {
		return false
	}
	later := until.Sub(h.until) > time.Second
	h.until = until
	return later
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
