package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

const (
	asynchronous = "Prefer: respond-async"
	boundless    = "PATCHBAY_MAX_QUEUED=100000000"
	boundlessOne = "PATCHBAY_MAX_QUEUED_PER_CONNECTOR=100000000"
	bulkPath     = "/api/actions/_bulk_execute"
)

// bulkLines returns n lines of the body of a bulk.
func bulkLines(n int, params string) string {
	return strings.Repeat(`{"id":"bench",`+strings.TrimPrefix(params, "{")+"\n", n)
}

// accepting is B9: how fast executions are accepted, each with a commit of its own
// by hand, each with a request of its own, and many with one request. Nobody runs
// them meanwhile, so that this is all that is measured. Each round begins with an
// empty directory.
func accepting(ctx context.Context, s *stage) (*result, error) {
	const many, few, lines = 64, 4, 1000
	fresh := func(start func(data string) (*process, error), l func(p *process) load) func(context.Context) (sample, error) {
		return func(ctx context.Context) (found sample, err error) {
			data, err := os.MkdirTemp(s.dir, "data-")
			if err != nil {
				return sample{}, err
			}
			p, err := start(data)
			if err != nil {
				return sample{}, err
			}
			if found, err = l(p).measure(ctx, s.warmup, s.duration/2); err != nil { // what is accepted piles up
				return sample{}, err
			}
			if err := s.stop(p); err != nil {
				return sample{}, err
			}
			return found, os.RemoveAll(data)
		}
	}
	broker, err := s.start(ctx, "broker")
	if err != nil {
		return nil, err
	}
	byHand := func(data string) (*process, error) {
		return s.start(ctx, "floor", "-accept="+filepath.Join(data, "floor.db"))
	}
	product := func(data string) (*process, error) {
		p, err := s.start(ctx, "api", boundless, boundlessOne, "PATCHBAY_HTTP_ADDR=127.0.0.1:0", "PATCHBAY_DATA_DIR="+data,
			"PATCHBAY_LOG_FORMAT=json", "PATCHBAY_NATS_URL=nats://"+broker.address)
		if err != nil {
			return nil, err
		}
		return p, post(ctx, p, connectorPath+"bench", logConnector)
	}
	single := func(callers int) func(p *process) load {
		return func(p *process) load {
			l := to(p, "", "", `"status":"queued"`)
			l.callers, l.status = callers, http.StatusAccepted
			l.request = request(p, connectorPath+"bench/_execute", "application/json", logParams, asynchronous)
			return l
		}
	}
	bulk := func(p *process) load {
		l := to(p, "", "", `"status":"queued"`)
		l.callers, l.units = few, lines
		l.request = request(p, bulkPath, "application/x-ndjson", bulkLines(lines, logParams))
		return l
	}
	var r result
	err = s.rounds(ctx, &r,
		side{name: "a commit each, by hand", measure: fresh(byHand, single(many))},
		side{name: "one by one, 64", measure: fresh(product, single(many))},
		side{name: "one by one, 4", measure: fresh(product, single(few))},
		side{name: "1000 lines a request, 4", measure: fresh(product, bulk)})
	if err != nil {
		return nil, err
	}
	r.atLeast(3, none, "accepted executions, 64 callers: rate", "one by one, 64", "a commit each, by hand", rate)
	r.atLeast(8, none, "accepted executions, 4 callers, 1000 lines a request: rate", "1000 lines a request, 4", "one by one, 4", rate)
	r.atLeast(none, none, "the same: rate", "1000 lines a request, 4", "one by one, 64", rate)
	return &r, nil
}
