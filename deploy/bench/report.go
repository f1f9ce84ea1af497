package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report writes the tables: the first contestant is the floor, to which the
// second is compared.
func report(w io.Writer, c config, contestants []*contestant, results map[key][]sample) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d rounds of %s after %s of warm-up; %d cores, %s. Medians over the rounds.\n\n",
		c.rounds, c.duration, c.warmup, runtime.NumCPU(), runtime.Version())
	b.WriteString("| Connections | Program | Executions/s | p50 | p99 | Server CPU per execution | Load generator's share of CPU |\n")
	b.WriteString("|---|---|---|---|---|---|---|\n")
	for _, connections := range c.connections {
		for _, each := range contestants {
			s := results[key{connections, each.name}]
			fmt.Fprintf(&b, "| %d | %s | %.0f | %s | %s | %s | %s |\n", connections, each.name,
				median(s, rate), latency(median(s, p50)), latency(median(s, p99)),
				latency(median(s, server)), percent(median(s, share)))
		}
	}

	floor, product := contestants[0].name, contestants[1].name
	fmt.Fprintf(&b, "\nRatio %s to %s, each within one round: median (lowest to highest).\n\n", product, floor)
	b.WriteString("| Connections | Executions/s | p50 | Server CPU per execution |\n|---|---|---|---|\n")
	for _, connections := range c.connections {
		base, ours := results[key{connections, floor}], results[key{connections, product}]
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", connections, ratio(base, ours, rate), ratio(base, ours, p50), ratio(base, ours, server))
	}

	fmt.Fprintf(&b, "\nStart: from process start, with an empty data directory, to the first answered request; median of %d.\n\n", c.starts)
	b.WriteString("| Program | First answer | Resident, idle | Resident, after the load |\n|---|---|---|---|\n")
	for _, each := range contestants {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", each.name,
			latency(float64(middle(each.starts))), memory(each.idle), memory(each.resting))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Columns of a sample, as numbers.
func rate(s sample) float64   { return s.rate }
func p50(s sample) float64    { return float64(s.p50) }
func p99(s sample) float64    { return float64(s.p99) }
func server(s sample) float64 { return float64(s.server) }
func share(s sample) float64  { return s.share }

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

// ratio compares round with round: what disturbed one disturbed its neighbour.
func ratio(floor, product []sample, column func(sample) float64) string {
	ratios := make([]float64, len(floor))
	for i := range ratios {
		if column(floor[i]) == 0 {
			return "–" // not known here
		}
		ratios[i] = column(product[i]) / column(floor[i])
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", middle(ratios), slices.Min(ratios), slices.Max(ratios))
}

func latency(nanoseconds float64) string {
	switch d := time.Duration(nanoseconds); {
	case d == 0:
		return "–"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	default:
		return fmt.Sprintf("%.2f ms", d.Seconds()*1000)
	}
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", share*100) }

func memory(bytes int64) string {
	if bytes == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20))
}
