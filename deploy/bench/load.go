package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// load is what the load generator does for one measurement.
type load struct {
	address string
	request []byte
	good    []byte // what the body of a good answer has in it
	status  int    // of a good answer
	units   int    // executions in one request, which all count

	// Callers each send their next request when they have the answer to the last.
	callers int
	// Or requests are sent at this rate a second, whether or not the ones before
	// are answered: 0 for callers.
	rate float64
	// patience is after what time a client gives up; 0: to wait in vain is an error.
	patience time.Duration
	// lenient: 429 and 503 are counted, not an error.
	lenient bool

	programs []*process // whose CPU counts
	upstream *process   // the stub behind them; nil for none
}

// to returns a load that posts body to a path of a program.
func to(p *process, path, body, good string) load {
	return load{
		address: p.address, good: []byte(good), status: http.StatusOK, units: 1, programs: []*process{p},
		request: request(p, path, "application/json", body),
	}
}

// request returns a request as it is sent; headers are further lines of it.
func request(p *process, path, mediaType, body string, headers ...string) []byte {
	b := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n", path, p.address, mediaType, len(body))
	for _, each := range headers {
		b = append(append(b, each...), "\r\n"...)
	}
	return append(append(b, "\r\n"...), body...)
}

// execute returns a load that executes the connector "bench" of a program.
func execute(p *process, params string) load {
	return to(p, connectorPath+"bench/_execute", params, `"status":"ok"`)
}

// measure puts the load on the programs and measures after a warm-up. It is an
// error if an answer is not good and the load is not lenient.
func (l load) measure(ctx context.Context, warmup, duration time.Duration) (sample, error) {
	from := time.Now().Add(warmup)
	until := from.Add(duration)
	var clients sync.WaitGroup
	var total record
	offered := 0
	clients.Go(func() {
		if l.rate > 0 {
			total, offered = l.arrive(ctx, from, until)
		} else {
			total = l.circle(ctx, from, until)
		}
	})
	before, err1 := l.meter(ctx, from)
	profiles := make([]error, len(l.programs))
	for i, p := range l.programs {
		if p.diagnostics != "" {
			clients.Go(func() { profiles[i] = p.profile(ctx, duration) })
		}
	}
	after, err2 := l.meter(ctx, until)
	clients.Wait()
	if ctx.Err() != nil {
		return sample{}, context.Cause(ctx)
	}
	if total.failure != nil && !l.lenient {
		return sample{}, fmt.Errorf("a request failed: %w", total.failure)
	}
	if err := errors.Join(errors.Join(profiles...), err1, err2); err != nil {
		return sample{}, err
	}
	s := total.sample(duration, after.minus(before))
	s.rate *= float64(l.units)
	s.server /= float64(l.units)
	if l.rate > 0 {
		s.offered = float64(offered) / duration.Seconds() / l.rate
	}
	return s, nil
}

// circle has each caller send its next request when it has the answer.
func (l *load) circle(ctx context.Context, from, until time.Time) record {
	// After a refusal a caller does not come back at once.
	const pauseAfterRefusal = 10 * time.Millisecond
	clients := make([]client, l.callers)
	var calling sync.WaitGroup
	for i := range clients {
		c := &clients[i]
		c.load, c.from, c.until = l, from, until
		calling.Go(func() {
			defer c.close()
			for time.Now().Before(until) && ctx.Err() == nil {
				if c.ask(ctx) {
					continue
				}
				if !l.lenient && c.failure != nil {
					return
				}
				time.Sleep(pauseAfterRefusal)
			}
		})
	}
	calling.Wait()
	var total record
	for i := range clients {
		total.add(&clients[i].record)
	}
	return total
}

// maxClients is how many requests may be in flight at a fixed rate: each has a
// connection, and a process has so many files.
const maxClients = 8000

// arrive sends requests at a fixed rate and returns also how many it sent between
// from and until.
func (l *load) arrive(ctx context.Context, from, until time.Time) (total record, offered int) {
	var mu sync.Mutex
	var idle, all []*client
	take := func() *client {
		mu.Lock()
		defer mu.Unlock()
		if n := len(idle); n > 0 {
			c := idle[n-1]
			idle = idle[:n-1]
			return c
		}
		if len(all) == maxClients {
			return nil
		}
		c := &client{load: l, from: from, until: until}
		all = append(all, c)
		return c
	}
	var calling sync.WaitGroup
	began := time.Now()
	for k := 1; ctx.Err() == nil; k++ {
		// Somewhere in its slot: clients do not keep step, and two loads that did would
		// each meet the other's at every request.
		at := began.Add(time.Duration((float64(k) + rand.Float64()) / l.rate * float64(time.Second)))
		if !at.Before(until) || !time.Now().Before(until) {
			break
		}
		time.Sleep(time.Until(at))
		c := take()
		if c == nil {
			total.failed, total.failure = total.failed+1, fmt.Errorf("more than %d requests are in flight", maxClients)
			break
		}
		if time.Now().After(from) {
			offered++
		}
		calling.Go(func() {
			c.ask(ctx)
			mu.Lock()
			defer mu.Unlock()
			idle = append(idle, c)
		})
	}
	calling.Wait()
	for _, c := range all {
		c.close()
		total.add(&c.record)
	}
	return total, offered
}
