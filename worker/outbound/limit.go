package outbound

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// Sign is what came of a request, as far as it says how much its destination has
// to do.
type Sign int8

// Signs. The zero value says nothing.
const (
	Well    Sign = iota + 1
	TooMuch      // 429, 503 or no answer in time
)

// SignOf returns the sign that an answer's status is, or the error for which there
// is none; ctx is that of the request.
func SignOf(ctx context.Context, status int, err error) Sign {
	switch {
	case err != nil && timedOut(ctx, err), err == nil && wantsLess(status):
		return TooMuch
	case err == nil && status < 500:
		return Well
	default:
		return 0
	}
}

func wantsLess(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}

// timedOut tells a destination that does not answer from a caller who left.
func timedOut(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return errors.Is(ctx.Err(), context.DeadlineExceeded)
	}
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// Limit is how much a destination bears at once. It goes up by one for every good
// sign, since a cut for as many as it counts, and is cut in half by a bad one. Who
// has it guards it.
type Limit struct {
	bears, most float64
	cuts        int
}

// NewLimit returns a limit that begins with first and never exceeds most; 0 for no
// such bound.
func NewLimit(first, most int) Limit { return Limit{bears: float64(first), most: float64(most)} }

// Allows reports whether there is room for one more beside those that run.
func (l *Limit) Allows(running int) bool { return running < int(l.bears) }

// Bears returns how many may run at once.
func (l *Limit) Bears() int { return int(l.bears) }

// Cuts returns how often the limit was cut. What begins keeps it for [Limit.Learn].
func (l *Limit) Cuts() int { return l.cuts }

// Learn changes the limit by a sign of something that began after so many cuts.
// running counts it in.
func (l *Limit) Learn(sign Sign, running, cuts int) {
	switch {
	case sign == TooMuch && cuts < l.cuts: // all that were under way at a cut tell the same
	case sign == TooMuch:
		l.bears = max(1, l.bears/2)
		l.cuts++
	case sign != Well, float64(running) < l.bears/2: // so much has not been tried
	case l.cuts == 0:
		l.raise(1)
	default:
		l.raise(1 / l.bears)
	}
}

func (l *Limit) raise(by float64) {
	l.bears += by
	if l.most > 0 {
		l.bears = min(l.bears, l.most)
	}
}
