package outbound

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"

	"patchbay.dev/shared/wire"
)

// TraceSent returns a context for one request, and what tells whether any of the
// request may have reached the destination. When redirects are followed, it
// tells of the last hop.
func TraceSent(ctx context.Context) (context.Context, *atomic.Bool) {
	sent := new(atomic.Bool)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// net/http looks for another connection only if nothing went out on the last.
		GetConn:      func(string) { sent.Store(false) },
		WroteHeaders: func() { sent.Store(true) },
	}), sent
}

// maxRetryAfter is the most of a Retry-After that is believed.
const maxRetryAfter = 24 * time.Hour

// RetryAfter reads a Retry-After header: seconds or an HTTP date, at most a day.
// Anything else is advice to try again at no certain time.
func RetryAfter(value string, now time.Time) wire.Retry {
	if at, ok := parseRetryAfter(value, now); ok {
		return wire.RetryAt(at)
	}
	return wire.RetryLater()
}

// RetryPause returns how long a Retry-After header asks to wait, 0 if it does not.
func RetryPause(value string, now time.Time) time.Duration {
	at, ok := parseRetryAfter(value, now)
	if !ok {
		return 0
	}
	return at.Sub(now)
}

func parseRetryAfter(value string, now time.Time) (at time.Time, ok bool) {
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 {
		return now.Add(min(time.Duration(seconds), maxRetryAfter/time.Second) * time.Second), true //nolint:durationcheck // a count of seconds
	}
	if date, err := http.ParseTime(value); err == nil && date.After(now) {
		return now.Add(min(date.Sub(now), maxRetryAfter)), true
	}
	return time.Time{}, false
}
