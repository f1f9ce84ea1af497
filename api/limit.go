package api

import (
	"fmt"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// keyLimits are what one key may ask for.
type keyLimits struct {
	requests   int // a second, and as many at once
	executions int // at the same time
}

// keyUsage is what one key asks for now.
type keyUsage struct {
	limits     keyLimits
	requests   *rate.Limiter
	executions atomic.Int64
}

func (l keyLimits) usage() *keyUsage {
	return &keyUsage{limits: l, requests: rate.NewLimiter(rate.Limit(l.requests), l.requests)}
}

// request counts a request, or refuses it with the time to wait.
func (u *keyUsage) request(now time.Time) error {
	if u.requests.AllowN(now, 1) {
		return nil
	}
	wait := time.Duration((1 - u.requests.TokensAt(now)) / float64(u.requests.Limit()) * float64(time.Second))
	return tooMany(fmt.Sprintf("This API key may send %d requests per second.", u.limits.requests), wait)
}

// execution counts an execution until done is called, or refuses it.
func (u *keyUsage) execution() (done func(), err error) {
	if u.executions.Add(1) > int64(u.limits.executions) {
		u.executions.Add(-1)
		return nil, tooMany(fmt.Sprintf(
			"This API key may have %d executions running at once. Nothing was run.", u.limits.executions), time.Second)
	}
	return func() { u.executions.Add(-1) }, nil
}

func tooMany(message string, wait time.Duration) *problem {
	return &problem{
		status:  http.StatusTooManyRequests,
		message: message,
		// Whole seconds, rounded up: sooner would be refused again.
		retryAfter: time.Duration(max(1, math.Ceil(wait.Seconds()))) * time.Second,
	}
}
