package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report writes the tables.
func report(ctx context.Context, w io.Writer, c config, results map[string]*result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; %s. Median and spread of %d rounds of %s.\n\n", commit(ctx), machine(), c.rounds, c.duration)
	b.WriteString("| # | What | Baseline | Reach | Aim | Median | Spread |\n|---|---|---|---|---|---|---|\n")
	ran := slices.DeleteFunc(slices.Clone(c.only), func(id string) bool { return results[id] == nil })
	for _, id := range ran {
		for _, each := range results[id].rows {
			fmt.Fprintf(&b, "| %s | %s |\n", id, each)
		}
	}
	b.WriteString("\nThe figures behind it: medians over the rounds.\n\n")
	b.WriteString("| # | Side | Good answers/s | p50 | p99 | Refused/s | p99 of refusals | Given up or failed/s | Server CPU per execution | Load generator's share of CPU |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for _, id := range ran {
		for _, m := range results[id].sides {
			s := m.samples
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", id, m.name,
				whole(median(s, rate)), latency(median(s, p50)), latency(median(s, p99)), whole(median(s, refused)), latency(median(s, refusedP99)),
				whole(median(s, gaveUp)), latency(median(s, server)), percent(median(s, share)))
		}
	}
	for _, id := range ran {
		if notes := results[id].notes; notes != "" {
			b.WriteString("\n" + id + ": " + notes)
		}
	}
	if err := checkGenerator(results); err != nil {
		fmt.Fprintf(&b, "\nThe load generator is in doubt:\n\n%s\n", err)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// String returns the cells of a row. A median that misses what is to be reached
// has a cross behind it.
func (r row) String() string {
	mark, sign := "", "≥ "
	if r.atMost {
		sign = "≤ "
	}
	limit := func(value float64) string {
		if math.IsNaN(value) {
			return "–"
		}
		return sign + r.format(value)
	}
	median := middle(r.values)
	reached := median >= r.reach
	if r.atMost {
		reached = median <= r.reach
	}
	if !math.IsNaN(r.reach) && !reached {
		mark = " ✗"
	}
	return fmt.Sprintf("%s | %s | %s | %s | %s%s | %s to %s", r.what, r.baseline, limit(r.reach), limit(r.aim), r.format(median), mark,
		r.format(slices.Min(r.values)), r.format(slices.Max(r.values)))
}

// checkGenerator returns an error if the load generator took so much of the CPU,
// or sent so late, that the figures say more about it than about the programs.
func checkGenerator(results map[string]*result) error {
	const mostCPU, leastOffered = 0.40, 0.95
	var errs []error
	for _, b := range benchmarks {
		if results[b.id] == nil {
			continue
		}
		for _, m := range results[b.id].sides {
			if took := median(m.samples, share); took > mostCPU && !m.alone {
				errs = append(errs, fmt.Errorf("%s, %s: it took %s of the CPU, more than %s", b.id, m.name, percent(took), percent(mostCPU)))
			}
			for _, s := range m.samples {
				if s.offered > 0 && s.offered < leastOffered {
					errs = append(errs, fmt.Errorf("%s, %s: it sent %s of the requests that it should", b.id, m.name, percent(s.offered)))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// commit names what was measured, if git can tell.
func commit(ctx context.Context) string {
	output, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty=, changed").Output()
	if err != nil {
		return "Commit unknown"
	}
	return "Commit " + strings.TrimSpace(string(output))
}

func machine() string {
	model := runtime.GOARCH
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := regexp.MustCompile(`(?m)^model name\s*: (.+)$`).FindSubmatch(info); m != nil {
			model = string(m[1])
		}
	}
	return fmt.Sprintf("%d cores (%s), %s, %s", runtime.NumCPU(), model, runtime.GOOS, runtime.Version())
}

func plain(ratio float64) string {
	switch {
	case math.IsNaN(ratio):
		return "–"
	case math.IsInf(ratio, 1):
		return "∞"
	case ratio >= 10:
		return fmt.Sprintf("%.0f", ratio)
	default:
		return fmt.Sprintf("%.2f", ratio)
	}
}

func whole(number float64) string { return fmt.Sprintf("%.0f", number) }

func latency(nanoseconds float64) string {
	switch {
	case math.IsNaN(nanoseconds):
		return "–"
	case nanoseconds < float64(time.Millisecond):
		return fmt.Sprintf("%.0f µs", nanoseconds/1e3)
	case nanoseconds < float64(time.Second):
		return fmt.Sprintf("%.2f ms", nanoseconds/1e6)
	default:
		return fmt.Sprintf("%.2f s", nanoseconds/1e9)
	}
}

func percent(share float64) string {
	if math.IsNaN(share) {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", share*100)
}

func mebibytes(bytes float64) string {
	if bytes == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f MiB", bytes/(1<<20))
}
