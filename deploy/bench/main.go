// Command bench measures the synchronous execution of a ".server-log" connector
// through the all-in-one beside its floor, a hand-written minimal program, and
// prints a report in Markdown.
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
	"strconv"
	"strings"
	"syscall"
	"time"
)

type config struct {
	rounds      int
	starts      int           // per program; the last one is then put under load
	warmup      time.Duration // before each measurement
	duration    time.Duration // of each measurement
	connections []int
}

// quick is a smoke run: every step once, too short for figures to mean much.
var quick = config{rounds: 1, starts: 1, warmup: 100 * time.Millisecond, duration: 300 * time.Millisecond}

func main() {
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
	var c config
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.IntVar(&c.rounds, "rounds", 5, "measurements of each program at each number of connections")
	fs.IntVar(&c.starts, "starts", 5, "how often each program is started, to time the start")
	fs.DurationVar(&c.warmup, "warmup", time.Second, "load before each measurement")
	fs.DurationVar(&c.duration, "duration", 4*time.Second, "length of each measurement")
	connections := fs.String("connections", "64,1", "numbers of connections, with commas")
	smoke := fs.Bool("quick", false, "a smoke run of a few seconds; sets all of the above but -connections")
	if err := fs.Parse(args); err != nil {
		return config{}, err
	}
	if *smoke {
		c = quick
	}
	for word := range strings.SplitSeq(*connections, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return config{}, fmt.Errorf("-connections: %q is not a number above 0", word)
		}
		c.connections = append(c.connections, n)
	}
	if c.rounds < 1 || c.starts < 1 || c.warmup <= 0 || c.duration <= 0 {
		return config{}, errors.New("-rounds, -starts, -warmup and -duration must be above 0")
	}
	return c, nil
}

// run builds and starts both programs, measures them in turns, writes the report
// to out and what it is doing to progress. The error says if any request was not
// answered as it should, or a program did not end well.
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

	contestants := []*contestant{
		{name: "floor", binary: filepath.Join(dir, "floor")},
		{name: "Patchbay", binary: filepath.Join(dir, "allinone"), product: true},
	}
	for _, each := range contestants {
		fmt.Fprintln(progress, "starting", each.name)
		// Deferred first: a start that fails may leave a process behind.
		defer func() { err = errors.Join(err, each.stop()) }()
		if err := each.launch(ctx, c.starts); err != nil {
			return err
		}
	}
	results, err := measureAll(ctx, c, contestants, progress)
	if err != nil {
		return err
	}
	return report(out, c, contestants, results)
}

// build puts the binaries of both programs into dir.
func build(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator),
		"patchbay.dev/deploy/allinone", "patchbay.dev/deploy/bench/floor")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, output)
	}
	return nil
}

// key names one cell of the experiment.
type key struct {
	connections int
	name        string
}

// measureAll measures the programs in turns, so that what else happens on the
// machine meets both, and returns the rounds of each.
func measureAll(ctx context.Context, c config, contestants []*contestant, progress io.Writer) (map[key][]sample, error) {
	results := make(map[key][]sample)
	for round := range c.rounds {
		for _, connections := range c.connections {
			for _, each := range contestants {
				s, err := each.measure(ctx, connections, c.warmup, c.duration)
				if err != nil {
					return nil, fmt.Errorf("%s at %d connections: %w", each.name, connections, err)
				}
				fmt.Fprintf(progress, "round %d of %d, %d connections, %s: %.0f/s\n", round+1, c.rounds, connections, each.name, s.rate)
				k := key{connections, each.name}
				results[k] = append(results[k], s)
			}
		}
	}
	for _, each := range contestants {
		if err := each.rest(); err != nil {
			return nil, err
		}
	}
	return results, nil
}
