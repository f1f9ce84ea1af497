package main

import (
	"context"
	"fmt"
)

// workers is B7: with twice the workers, twice the executions.
func workers(ctx context.Context, s *stage) (*result, error) {
	stub, err := s.start(ctx, "stub", "-delay=50ms")
	if err != nil {
		return nil, err
	}
	p, err := s.parts(ctx, "PATCHBAY_MAX_IN_FLIGHT=4096")
	if err != nil {
		return nil, err
	}
	if err := post(ctx, p.api, connectorPath+"bench", indexConnector); err != nil {
		return nil, err
	}
	l := execute(p.api, documents(1))
	l.upstream, l.lenient = stub, true
	l.callers = 96 // more than four workers have slots, so that none is ever idle

	// with has as many workers as it says and measures them.
	with := func(n int) side {
		return side{name: fmt.Sprintf("workers: %d", n), measure: func(ctx context.Context) (sample, error) {
			for len(p.workers) > n {
				last := p.workers[len(p.workers)-1]
				p.workers = p.workers[:len(p.workers)-1]
				if err := s.stop(last); err != nil {
					return sample{}, err
				}
			}
			for len(p.workers) < n {
				if err := s.addWorker(ctx, p, batchingOff, "PATCHBAY_WORKER_SLOTS=16", "PATCHBAY_ELASTICSEARCH_URL=http://"+stub.address); err != nil {
					return sample{}, err
				}
			}
			l := l
			l.programs = p.all()
			return l.measure(ctx, s.warmup, s.duration)
		}}
	}
	var r result
	if err := s.rounds(ctx, &r, with(1), with(2), with(4)); err != nil {
		return nil, err
	}
	r.atLeast(1.9, 1.95, "2 workers, 50 ms stub, 16 slots each: rate", "workers: 2", "workers: 1", rate)
	r.atLeast(3.6, 3.8, "4 workers, the same: rate", "workers: 4", "workers: 1", rate)
	return &r, nil
}
