package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// hanging is B5: half of the load goes to a destination that never answers, by
// clients that give up after a second. The other half should not notice.
func hanging(ctx context.Context, s *stage) (*result, error) {
	const (
		perSecond = 500 // of each half, well below what the machine can take
		patience  = time.Second
		params    = `{"params":{"subAction":"getIncident","subActionParams":{"externalId":"OPS-17"}}}`
	)
	product, err := s.product(ctx, "PATCHBAY_ALLOWED_CIDRS=127.0.0.0/8")
	if err != nil {
		return nil, err
	}
	half := func(id string, flags ...string) (load, error) {
		stub, err := s.start(ctx, "stub", flags...)
		if err != nil {
			return load{}, err
		}
		l := to(product, connectorPath+id+"/_execute", params, `"status":"ok"`)
		l.rate, l.patience, l.lenient, l.upstream = perSecond, patience, true, stub
		return l, post(ctx, product, connectorPath+id, fmt.Sprintf(`{"name":"Benchmark","connector_type_id":".jira",`+
			`"config":{"apiUrl":"http://%s","projectKey":"OPS"},"secrets":{"email":"a@example.com","apiToken":"token-of-the-bench"}}`, stub.address))
	}
	healthy, err := half("healthy")
	if err != nil {
		return nil, err
	}
	stuck, err := half("stuck", "-hang")
	if err != nil {
		return nil, err
	}

	stuck.programs = nil // what they use is counted with the healthy half

	// Twice as long as others: the p99 of 1,500 answers is decided by 15 of them.
	warmup, duration := s.warm(patience), 2*s.duration
	strict := healthy
	strict.patience, strict.lenient = 0, false
	var r result
	err = s.rounds(ctx, &r,
		side{name: "alone", measure: func(ctx context.Context) (sample, error) { return strict.measure(ctx, warmup, duration) }},
		side{name: "beside the hanging one", measure: func(ctx context.Context) (sample, error) {
			var other sync.WaitGroup
			var failed error
			other.Go(func() { _, failed = stuck.measure(ctx, warmup, duration) })
			found, err := healthy.measure(ctx, warmup, duration)
			other.Wait()
			if err == nil {
				err = failed
			}
			return found, err
		}})
	if err != nil {
		return nil, err
	}
	r.atMost(1.5, 1.2, "`.jira`, 500/s, beside 500/s to a destination that hangs: p99", "beside the hanging one", "alone", p99OfAll)
	r.atLeast(0.9, 0.95, "the same: rate", "beside the hanging one", "alone", rate)
	return &r, nil
}
