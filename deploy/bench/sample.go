package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"time"
)

// sample is one measurement.
type sample struct {
	rate       float64 // good answers a second
	p50, p99   float64 // latency of good answers, nanoseconds
	p99OfAll   float64 // of all, where one that is not good took for ever
	refused    float64 // refusals a second
	refusedP99 float64 // latency of refusals, nanoseconds
	gaveUp     float64 // requests a second that the client gave up, or that failed otherwise
	server     float64 // CPU time of the programs per good answer, nanoseconds
	share      float64 // of all CPU time used, the load generator's: 0 to 1
	upstream   float64 // requests to the stub per good answer
	offered    float64 // of the rate that was wanted, what was sent; 0 for callers
}

// Columns of a sample.
func rate(s sample) float64       { return s.rate }
func p50(s sample) float64        { return s.p50 }
func p99(s sample) float64        { return s.p99 }
func p99OfAll(s sample) float64   { return s.p99OfAll }
func refused(s sample) float64    { return s.refused }
func refusedP99(s sample) float64 { return s.refusedP99 }
func gaveUp(s sample) float64     { return s.gaveUp }
func server(s sample) float64     { return s.server }
func share(s sample) float64      { return s.share }
func upstream(s sample) float64   { return s.upstream }

// sample returns what a record of some time amounts to. What is not known is
// NaN.
func (r *record) sample(duration time.Duration, used reading) sample {
	slices.Sort(r.good)
	slices.Sort(r.refused)
	good, lost := len(r.good), len(r.refused)+r.gaveUp+r.failed
	s := sample{
		rate:       float64(good) / duration.Seconds(),
		p50:        quantile(r.good, good, 0.5),
		p99:        quantile(r.good, good, 0.99),
		p99OfAll:   quantile(r.good, good+lost, 0.99),
		refused:    float64(len(r.refused)) / duration.Seconds(),
		refusedP99: quantile(r.refused, len(r.refused), 0.99),
		gaveUp:     float64(r.gaveUp+r.failed) / duration.Seconds(),
		server:     math.NaN(), share: math.NaN(), upstream: math.NaN(),
	}
	if math.IsNaN(s.p99OfAll) && lost > 0 {
		s.p99OfAll = math.Inf(1)
	}
	if others := used.programs + used.stub; others > 0 {
		s.share = used.own.Seconds() / (used.own + others).Seconds()
	}
	if used.programs > 0 && good > 0 {
		s.server = float64(used.programs) / float64(good)
	}
	if used.requests > 0 && good > 0 {
		s.upstream = float64(used.requests) / float64(good)
	}
	return s
}

// quantile returns the q-quantile of n values of which sorted are the lowest,
// NaN if it is not among them.
func quantile(sorted []time.Duration, n int, q float64) float64 {
	i := int(float64(n) * q)
	if i >= len(sorted) {
		return math.NaN()
	}
	return float64(sorted[i])
}

// median returns the median of a column over the samples that have it.
func median(samples []sample, column func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = column(s)
	}
	return middle(values)
}

// middle is the median; of an even number the upper of the two in the middle.
func middle[T cmp.Ordered](values []T) T {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

// reading is what the meters say at one moment.
type reading struct {
	own, programs, stub time.Duration // CPU time so far
	requests            int           // that the stub got
}

func (r reading) minus(s reading) reading {
	return reading{r.own - s.own, r.programs - s.programs, r.stub - s.stub, r.requests - s.requests}
}

// meter waits until a moment and reads the meters.
func (l *load) meter(ctx context.Context, at time.Time) (reading, error) {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return reading{}, context.Cause(ctx)
	}
	own, err := ownCPU()
	r, errs := reading{own: own}, []error{err}
	for _, p := range l.programs {
		cpu, _, err := p.usage()
		r.programs += cpu
		errs = append(errs, err)
	}
	if l.upstream != nil {
		cpu, _, err1 := l.upstream.usage()
		requests, _, err2 := stats(ctx, l.upstream)
		r.stub, r.requests = cpu, requests
		errs = append(errs, err1, err2)
	}
	return r, errors.Join(errs...)
}

// stats asks a stub how many requests it got and how many are not answered yet.
func stats(ctx context.Context, stub *process) (requests, running int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+stub.address+"/_stats", nil)
	if err != nil {
		return 0, 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, 0, err
	}
	_, err = fmt.Sscanf(string(answer), "%d %d", &requests, &running)
	return requests, running, err
}
