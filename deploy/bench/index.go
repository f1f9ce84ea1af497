package main

import (
	"context"
	"strings"
)

// Settings of Patchbay for ".index" connectors.
const (
	batchingOn  = "PATCHBAY_BULK_BATCHING=on"
	batchingOff = "PATCHBAY_BULK_BATCHING=off"
)

// indexer starts an all-in-one whose connector "bench" writes to a stub.
func (s *stage) indexer(ctx context.Context, stub *process, settings ...string) (*process, error) {
	p, err := s.product(ctx, append(settings, "PATCHBAY_ELASTICSEARCH_URL=http://"+stub.address)...)
	if err != nil {
		return nil, err
	}
	return p, post(ctx, p, connectorPath+"bench", indexConnector)
}

// direct returns a load that sends _bulk requests of n documents to a stub
// itself.
func direct(stub *process, n int) load {
	l := to(stub, "/bench/_bulk", strings.Repeat(`{"index":{"op_type":"create"}}`+"\n"+document+"\n", n), `"errors":false`)
	l.upstream, l.programs = stub, nil
	return l
}

// oneDocument is B2: one document with no help from others, beside the floor that
// writes it by hand.
func oneDocument(ctx context.Context, s *stage) (*result, error) {
	stub, err := s.start(ctx, "stub")
	if err != nil {
		return nil, err
	}
	floor, err := s.start(ctx, "floor", "-cluster=http://"+stub.address)
	if err != nil {
		return nil, err
	}
	product, err := s.indexer(ctx, stub, batchingOff)
	if err != nil {
		return nil, err
	}
	base, ours := execute(floor, documents(1)), execute(product, documents(1))
	base.callers, ours.callers = 64, 64
	base.upstream, ours.upstream = stub, stub
	var r result
	if err := s.rounds(ctx, &r, s.side("floor", base), s.side("Patchbay", ours)); err != nil {
		return nil, err
	}
	r.atLeast(0.80, 0.90, "`.index`, one document, 64 at once, not batched: rate", "Patchbay", "floor", rate)
	return &r, nil
}

// batching is B3: what executions gain by leaving together, and what a lone one
// pays for it.
func batching(ctx context.Context, s *stage) (*result, error) {
	const slots, inFlight = "PATCHBAY_WORKER_SLOTS=1024", "PATCHBAY_MAX_IN_FLIGHT=4096"
	stub, err := s.start(ctx, "stub", "-delay=5ms")
	if err != nil {
		return nil, err
	}
	off, err := s.indexer(ctx, stub, batchingOff, slots, inFlight)
	if err != nil {
		return nil, err
	}
	on, err := s.indexer(ctx, stub, batchingOn, slots, inFlight)
	if err != nil {
		return nil, err
	}
	busy := func(name string, l load) side {
		l.callers, l.upstream = 512, stub
		return s.side(name, l)
	}
	lone := func(name string, l load) side {
		l.callers, l.upstream = 1, stub
		return s.side(name, l)
	}
	clients := busy("512 clients of the stub", direct(stub, 1))
	clients.alone = true
	one := documents(1)
	var r result
	if err := s.rounds(ctx, &r, clients, busy("not batched, 512", execute(off, one)), busy("batched, 512", execute(on, one))); err != nil {
		return nil, err
	}
	if err := s.rounds(ctx, &r, lone("not batched, 1", execute(off, one)), lone("batched, 1", execute(on, one))); err != nil {
		return nil, err
	}
	r.atLeast(1.7, none, "`.index`, one document, 5 ms stub, 512 at once, batched: rate", "batched, 512", "not batched, 512", rate)
	r.atLeast(none, 1, "the same: rate", "batched, 512", "512 clients of the stub", rate)
	r.atLeast(30, none, "the same: executions in one request to the stub", "not batched, 512", "batched, 512", upstream)
	r.rows[len(r.rows)-1].baseline = "not batched, 512" // it stands above the line: fewer are better
	r.atMost(1.05, none, "the same, 1 at once: p50", "batched, 1", "not batched, 1", p50)
	return &r, nil
}

// manyDocuments is B4: what the way through Patchbay costs those who send many
// documents at once already.
func manyDocuments(ctx context.Context, s *stage) (*result, error) {
	const n = 64
	stub, err := s.start(ctx, "stub")
	if err != nil {
		return nil, err
	}
	product, err := s.indexer(ctx, stub, batchingOn)
	if err != nil {
		return nil, err
	}
	base, ours := direct(stub, n), execute(product, documents(n))
	base.callers, ours.callers, ours.upstream = 16, 16, stub
	alone := s.side("16 clients of the stub", base)
	alone.alone = true
	var r result
	if err := s.rounds(ctx, &r, alone, s.side("Patchbay", ours)); err != nil {
		return nil, err
	}
	r.atLeast(0.30, 0.50, "`.index`, 64 documents, 16 at once: rate", "Patchbay", "16 clients of the stub", rate)
	return &r, nil
}
