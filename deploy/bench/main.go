// Command bench measures Patchbay beside baselines of the same machine and the
// same minutes, and prints a report in Markdown.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"
)

type config struct {
	only     []string // ids of the benchmarks to run
	rounds   int
	starts   int           // of each program whose start is timed
	warmup   time.Duration // before each measurement
	duration time.Duration // of each measurement
	smoke    bool
	picture  string // file for the picture; "" for none
	profiles string // directory for profiles; "" for none

	connectors, held int // of the benchmark of memory
}

// quick is a smoke run: every step once, too short for figures to mean much.
var quick = config{
	rounds: 1, starts: 1, warmup: 100 * time.Millisecond, duration: 300 * time.Millisecond, smoke: true, connectors: 500, held: 50,
}

func main() {
	// Garbage of the load generator must not delay answers that are there. What it has
	// in use is a few MiB.
	debug.SetGCPercent(1000)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(ctx, c, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (config, error) {
	c := config{connectors: 10_000, held: 1000}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := fs.String("only", "", "ids of the benchmarks to run, with commas: B1,B3; all without it")
	fs.IntVar(&c.rounds, "rounds", 5, "measurements of each side of a benchmark")
	fs.IntVar(&c.starts, "starts", 5, "how often each program is started whose start is timed")
	fs.DurationVar(&c.warmup, "warmup", 500*time.Millisecond, "load before each measurement")
	fs.DurationVar(&c.duration, "duration", 3*time.Second, "length of each measurement")
	fs.StringVar(&c.picture, "picture", "deploy/bench/bench.svg", "file for the picture of B1, B3 and B7, which must all run")
	profiles := fs.String("profiles", "", "directory for CPU profiles of Patchbay while it is measured, which costs some of its speed")
	smoke := fs.Bool("quick", false, "a smoke run of half a minute without a picture; sets all of the above but -only and -profiles")
	if err := fs.Parse(args); err != nil {
		return config{}, err
	}
	if fs.NArg() > 0 {
		return config{}, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if *smoke {
		c = quick
	}
	c.profiles = *profiles
	if c.rounds < 1 || c.starts < 1 || c.warmup <= 0 || c.duration <= 0 {
		return config{}, errors.New("-rounds, -starts, -warmup and -duration must be above 0")
	}
	for _, b := range benchmarks {
		if *only == "" || slices.Contains(strings.Split(*only, ","), b.id) {
			c.only = append(c.only, b.id)
		}
	}
	if *only != "" && len(c.only) != len(strings.Split(*only, ",")) {
		return config{}, fmt.Errorf("-only: %q is not a list of different benchmarks from B1 to B11", *only)
	}
	return c, nil
}

// run builds the programs, runs the benchmarks one after the other, writes the
// report to out and what it is doing to progress. The error says if any request
// was not answered as it should, a program did not end well, or the load
// generator was too slow for the figures to count.
func run(ctx context.Context, c config, out, progress io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "patchbay-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintln(progress, "building")
	if err := build(ctx, dir); err != nil {
		return err
	}
	results := make(map[string]*result)
	var failed []error // of one benchmark; the others run all the same
	for _, b := range benchmarks {
		if !slices.Contains(c.only, b.id) {
			continue
		}
		fmt.Fprintf(progress, "%s: %s\n", b.id, b.what)
		s := &stage{config: c, id: b.id, dir: dir, progress: progress}
		r, err := b.run(ctx, s)
		if err := errors.Join(err, s.end()); err != nil {
			fmt.Fprintf(progress, "  it failed: %s\n", err)
			failed = append(failed, fmt.Errorf("%s: %w", b.id, err))
			continue
		}
		results[b.id] = r
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := report(ctx, out, c, results); err != nil {
		return err
	}
	if c.picture != "" && results["B1"] != nil && results["B3"] != nil && results["B7"] != nil {
		if err := writePicture(c.picture, results); err != nil {
			return err
		}
	}
	if !c.smoke {
		failed = append(failed, checkGenerator(results))
	}
	return errors.Join(failed...)
}

// build puts the binaries of all programs into dir.
func build(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator),
		"patchbay.dev/deploy/allinone", "patchbay.dev/api/cmd/api", "patchbay.dev/worker/cmd/worker",
		"patchbay.dev/deploy/bench/floor", "patchbay.dev/deploy/bench/stub", "patchbay.dev/deploy/bench/broker")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, output)
	}
	return nil
}
