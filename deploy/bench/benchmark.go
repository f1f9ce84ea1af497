package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// benchmark is one of those that the program runs.
type benchmark struct {
	id   string
	what string
	run  func(ctx context.Context, s *stage) (*result, error)
}

// benchmarks are all of them, in the order in which they run.
var benchmarks = []benchmark{
	{"B1", "`.server-log`", serverLog},
	{"B2", "`.index`, one document", oneDocument},
	{"B3", "`.index`, one document, 512 callers, 5 ms stub", batching},
	{"B4", "`.index`, 64 documents, 16 callers", manyDocuments},
	{"B5", "a healthy destination beside one that hangs", hanging},
	{"B6", "three times the load that it can take", overload},
	{"B7", "more workers, 50 ms stub, 16 slots each", workers},
	{"B8", "memory", memory},
	{"B9", "durable executions: accepting", accepting},
	{"B10", "durable executions: draining", draining},
	{"B11", "the execution log", logging},
}

// result is what a benchmark found.
type result struct {
	rows  []row
	sides []measured
	notes string // Markdown, "" for none
}

// measured is a side of a benchmark with its samples, one for each round.
type measured struct {
	name    string
	alone   bool // no program of ours but the stub: the load generator's share says nothing
	samples []sample
}

// side is one of those that a benchmark measures in turns.
type side struct {
	name    string
	alone   bool
	measure func(ctx context.Context) (sample, error)
}

// side returns a side that is measured under one load.
func (s *stage) side(name string, l load) side {
	return side{name: name, measure: func(ctx context.Context) (sample, error) { return l.measure(ctx, s.warmup, s.duration) }}
}

// rounds measures the sides in turns, so that what else happens on the machine
// meets all of them, and adds them to the result.
func (s *stage) rounds(ctx context.Context, r *result, sides ...side) error {
	first := len(r.sides)
	for _, each := range sides {
		r.sides = append(r.sides, measured{name: each.name, alone: each.alone})
	}
	for round := range s.config.rounds {
		for i, each := range sides {
			sample, err := each.measure(ctx)
			if err := errors.Join(err, s.keepProfiles(each.name)); err != nil {
				return fmt.Errorf("%s: %w", each.name, err)
			}
			fmt.Fprintf(s.progress, "  round %d of %d, %s: %.0f/s, p50 %s\n", round+1, s.config.rounds, each.name, sample.rate, latency(sample.p50))
			r.sides[first+i].samples = append(r.sides[first+i].samples, sample)
		}
	}
	return nil
}

// row is one line of the table: what was to be reached and what was measured.
type row struct {
	what, baseline string
	reach, aim     float64 // NaN for none
	atMost         bool    // they are upper limits, otherwise lower ones
	format         func(float64) string
	values         []float64 // one for each round; NaN where it is not known
}

// none is a limit that there is not.
var none = math.NaN()

// atLeast adds a row for the ratio of a column over two sides, each within one
// round: what disturbed one disturbed its neighbour.
func (r *result) atLeast(reach, aim float64, what, over, under string, column func(sample) float64) {
	r.rows = append(r.rows, row{what: what, baseline: under, reach: reach, aim: aim, format: plain, values: r.ratios(over, under, column)})
}

// atMost is atLeast with upper limits.
func (r *result) atMost(reach, aim float64, what, over, under string, column func(sample) float64) {
	r.atLeast(reach, aim, what, over, under, column)
	r.rows[len(r.rows)-1].atMost = true
}

func (r *result) ratios(over, under string, column func(sample) float64) []float64 {
	a, b := r.samples(over), r.samples(under)
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = math.NaN()
		if divisor := column(b[i]); divisor != 0 {
			ratios[i] = column(a[i]) / divisor
		}
	}
	return ratios
}

// samples returns the samples of a side.
func (r *result) samples(name string) []sample {
	for _, m := range r.sides {
		if m.name == name {
			return m.samples
		}
	}
	panic("no side " + name)
}

// warm returns a warm-up that is long enough for clients of some patience: from
// then on as many give up as come. A smoke run does not wait for that.
func (s *stage) warm(patience time.Duration) time.Duration {
	if s.smoke {
		return s.warmup
	}
	return max(s.warmup, patience)
}
