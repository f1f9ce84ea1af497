package main

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The run fails if a request is not answered as it should or a program does not
// exit with 0, so that this holds the benchmarks to the product.
func TestQuickRunReportsEveryRow(t *testing.T) {
	t.Parallel()
	c := quick
	c.only = []string{"B1", "B3"}
	ctx, stop := context.WithTimeout(t.Context(), 4*time.Minute) // building takes most of it
	defer stop()
	var out strings.Builder
	if err := run(ctx, c, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	t.Log(out.String())

	// Only the rows: a busy machine may have other units, or no answer at all in
	// so short a time.
	figure := regexp.MustCompile(`^(–|[0-9][0-9.]*( µs| ms| s| MiB| %)?)( ✗| to .*)?$`)
	var got []string
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "| ") {
			cells := strings.Split(strings.Trim(line, "| \n"), " | ")
			for i := range cells {
				cells[i] = figure.ReplaceAllString(cells[i], "N")
			}
			got = append(got, strings.Join(cells, " | "))
		}
	}
	want := []string{
		"# | What | Baseline | Reach | Aim | Median | Spread",
		"B1 | `.server-log`, 64 at once: rate | floor, 64 | ≥ 0.80 | ≥ 0.90 | N | N",
		"B1 | `.server-log`, 64 at once: p50 | floor, 64 | ≤ 1.40 | ≤ 1.20 | N | N",
		"B1 | `.server-log`, 1 at once: rate | floor, 1 | ≥ 0.80 | ≥ 0.90 | N | N",
		"B1 | `.server-log`, 1 at once: p50 | floor, 1 | ≤ 1.40 | ≤ 1.20 | N | N",
		"B3 | `.index`, one document, 5 ms stub, 512 at once, batched: rate | not batched, 512 | ≥ 1.70 | N | N | N",
		"B3 | the same: rate | 512 clients of the stub | N | ≥ 1.00 | N | N",
		"B3 | the same: executions in one request to the stub | not batched, 512 | ≥ 30 | N | N | N",
		"B3 | the same, 1 at once: p50 | not batched, 1 | ≤ 1.05 | N | N | N",
		"# | Side | Good answers/s | p50 | p99 | Refused/s | p99 of refusals | Given up or failed/s | Server CPU per execution | Load generator's share of CPU",
		"B1 | floor, 64 | N | N | N | N | N | N | N | N",
		"B1 | Patchbay, 64 | N | N | N | N | N | N | N | N",
		"B1 | floor, 1 | N | N | N | N | N | N | N | N",
		"B1 | Patchbay, 1 | N | N | N | N | N | N | N | N",
		"B3 | 512 clients of the stub | N | N | N | N | N | N | N | N",
		"B3 | not batched, 512 | N | N | N | N | N | N | N | N",
		"B3 | batched, 512 | N | N | N | N | N | N | N | N",
		"B3 | not batched, 1 | N | N | N | N | N | N | N | N",
		"B3 | batched, 1 | N | N | N | N | N | N | N | N",
		"Program | First answer | Resident, idle | Resident, after the load",
		"floor | N | N | N",
		"Patchbay | N | N | N",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	// What the README promises, 80 and 2 times what is usual: the first answer
	// within a second, less than 60 MiB when idle.
	promised := regexp.MustCompile(`(?m)^\| Patchbay \| [0-9.]+ [mµ]s \| ([1-5]?[0-9] MiB|–) \|`)
	if !promised.MatchString(out.String()) {
		t.Errorf("start and memory are not within %s", promised)
	}
}

func TestParseRefusesWhatCannotRun(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-rounds", "0"}, {"-starts", "0"}, {"-duration", "0s"}, {"-warmup", "0s"},
		{"-only", "B12"}, {"-only", "B1,"}, {"-only", "B1,B1"}, {"-only", "b1"}, {"B1"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("parse(%q) took it", args)
		}
	}
	c, err := parse([]string{"-only", "B7,B1", "-quick"})
	want := []string{"B1", "B7"}
	if diff := cmp.Diff(want, c.only); diff != "" || err != nil {
		t.Errorf("-only (-want +got):\n%s%v", diff, err)
	}
}
