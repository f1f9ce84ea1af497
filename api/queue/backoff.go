package queue

import (
	"math/rand/v2"
	"time"
)

// random returns a duration below d, or 0: [rand.N], or what a test wants.
type random func(d time.Duration) time.Duration

func anything(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}

// doubled is first, doubled n times, but never more than ceiling.
func doubled(first, ceiling time.Duration, n int) time.Duration {
	d := first
	for range n {
		if d >= ceiling/2 {
			return ceiling
		}
		d *= 2
	}
	return min(d, ceiling)
}

// retry is how long to wait after attempt n: anything up to the bound, so that what
// failed together does not come back together.
func (r random) retry(o *Options, n int) time.Duration {
	return r(doubled(o.RetryDelay, o.MaxRetryDelay, n-1))
}

const (
	firstPause = 250 * time.Millisecond
	lastPause  = 30 * time.Second
)

// pause is how long nothing is tried after n pauses came to nothing: at least half of
// the bound, or it would be no pause.
func (r random) pause(n int) time.Duration {
	d := doubled(firstPause, lastPause, n)
	return d/2 + r(d/2)
}

// putOff is how long a line waits that came n times and could not be accepted.
func (r random) putOff(n int) time.Duration {
	d := doubled(putOff, maxPutOff, n-1)
	return d/2 + r(d/2)
}
