package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// serverLog is B1: the shortest way through Patchbay beside the floor, which
// does the essential work alone in the same process layout.
func serverLog(ctx context.Context, s *stage) (*result, error) {
	floor, product := &contestant{name: "floor", first: connectorPath + "bench/_execute", body: logParams},
		&contestant{name: "Patchbay", first: connectorPath + "bench", body: logConnector}
	floor.start = func() (*process, error) { return s.start(ctx, "floor") }
	product.start = func() (*process, error) { return s.product(ctx) }
	for _, each := range []*contestant{floor, product} {
		if err := each.launch(ctx, s); err != nil {
			return nil, err
		}
	}
	var r result
	for _, callers := range []int{64, 1} {
		base, ours := execute(floor.process, logParams), execute(product.process, logParams)
		base.callers, ours.callers = callers, callers
		under, over := fmt.Sprintf("floor, %d", callers), fmt.Sprintf("Patchbay, %d", callers)
		if err := s.rounds(ctx, &r, s.side(under, base), s.side(over, ours)); err != nil {
			return nil, err
		}
		r.atLeast(0.80, 0.90, fmt.Sprintf("`.server-log`, %d at once: rate", callers), over, under, rate)
		r.atMost(1.4, 1.2, fmt.Sprintf("`.server-log`, %d at once: p50", callers), over, under, p50)
	}

	var b strings.Builder
	fmt.Fprintf(&b, "From process start, with an empty data directory, to the first answered request; median of %d starts.\n\n", s.starts)
	b.WriteString("| Program | First answer | Resident, idle | Resident, after the load |\n|---|---|---|---|\n")
	for _, each := range []*contestant{floor, product} {
		_, resting, err := each.process.usage()
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", each.name,
			latency(float64(middle(each.starts))), mebibytes(float64(each.idle)), mebibytes(float64(resting)))
	}
	r.notes = b.String()
	return &r, nil
}

// contestant is one of the two programs whose start is timed.
type contestant struct {
	name        string
	start       func() (*process, error)
	first, body string // the first request that it answers
	process     *process
	starts      []time.Duration // from process start to first answer
	idle        int64           // bytes resident after the start
}

// launch starts the program some times, each time with an empty data directory,
// and leaves the last process running.
func (c *contestant) launch(ctx context.Context, s *stage) (err error) {
	for range s.starts {
		if c.process != nil {
			if err := s.stop(c.process); err != nil {
				return err
			}
		}
		began := time.Now()
		if c.process, err = c.start(); err != nil {
			return err
		}
		if err := post(ctx, c.process, c.first, c.body); err != nil {
			return err
		}
		c.starts = append(c.starts, time.Since(began))
	}
	_, c.idle, err = c.process.usage()
	return err
}
