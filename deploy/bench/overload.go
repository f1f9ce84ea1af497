package main

import (
	"context"
	"time"
)

// overload is B6: three times as many requests come as can be carried out. What
// is carried out in time should not become less, and the rest should hear so at
// once.
func overload(ctx context.Context, s *stage) (*result, error) {
	const patience = time.Second
	stub, err := s.start(ctx, "stub", "-delay=50ms") // so that slots are what is scarce, and not the CPU
	if err != nil {
		return nil, err
	}
	// One connector gets half and one more of both: 65 run and as many wait.
	product, err := s.indexer(ctx, stub, batchingOff, "PATCHBAY_WORKER_SLOTS=128", "PATCHBAY_MAX_IN_FLIGHT=258")
	if err != nil {
		return nil, err
	}
	l := execute(product, documents(1))
	l.upstream, l.patience, l.lenient = stub, patience, true
	capacity := l
	capacity.callers = 65 // as many as there are slots for it

	warmup, per := s.warm(patience), 0.0
	var r result
	err = s.rounds(ctx, &r,
		side{name: "as much as it can take", measure: func(ctx context.Context) (sample, error) {
			found, err := capacity.measure(ctx, warmup, s.duration)
			per = max(found.rate, 1)
			return found, err
		}},
		side{name: "three times as much", measure: func(ctx context.Context) (sample, error) {
			l.rate = 3 * per
			return l.measure(ctx, warmup, s.duration)
		}})
	if err != nil {
		return nil, err
	}
	r.atLeast(0.85, 0.95, "3 times the load it can take, clients that wait 1 s: rate of good answers", "three times as much", "as much as it can take", rate)
	refusals := row{what: "the same: p99 of refusals", baseline: "–", reach: float64(10 * time.Millisecond), aim: none, atMost: true, format: latency}
	for _, found := range r.samples("three times as much") {
		refusals.values = append(refusals.values, found.refusedP99)
	}
	r.rows = append(r.rows, refusals)
	return &r, nil
}
