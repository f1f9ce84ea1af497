// Command worker runs connectors for a Patchbay api, over NATS.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"patchbay.dev/shared/diagnose"
	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
	"patchbay.dev/worker"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	setting.TuneGC(os.Environ())
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	if err := run(ctx, os.Args[1:], os.Environ()); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args, environ []string) error {
	var config worker.Config
	var broker setting.Broker
	var keyFile string
	var hosts []string
	var logging setting.Log
	var diagnostics diagnose.Config
	var metrics diagnose.Metrics
	fs := flag.NewFlagSet("worker", flag.ContinueOnError)
	config.Flags(fs)
	logging.Flags(fs)
	diagnostics.Flags(fs)
	metrics.Flags(fs)
	broker.Flags(fs)
	setting.Duration(fs, &config.ShutdownTimeout, "shutdown-timeout", "30s", "how long running executions may last once the worker stops")
	setting.List(fs, &hosts, "allowed-hosts", "*", "host names that connectors may reach, with commas; * for all")
	fs.StringVar(&keyFile, "seal-key-file", "", "file of the private keys that open secrets, the newest first")
	if len(args) >= 2 && args[0] == "keys" && keyCommands[args[1]] != nil {
		return keyCommands[args[1]](args[2:], environ)
	}
	unknown, err := setting.Parse(fs, args, environ)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "\nCommands, each with -help: worker keys generate|add|publish|prune: keys of secrets and of the broker")
	}
	if err != nil {
		return err
	}
	config.Hosts = hosts
	if keyFile != "" {
		if config.Ring, err = seal.FollowRing(keyFile); err != nil {
			return fmt.Errorf("PATCHBAY_SEAL_KEY_FILE: %w", err)
		}
	}
	log := logging.New(os.Stderr)
	setting.Warn(log, unknown)
	stopDiagnostics, err := diagnostics.Start(log)
	if err != nil {
		return err
	}
	defer stopDiagnostics()
	var stopMetrics func()
	if config.Metrics, stopMetrics, err = serveMetrics(&metrics, log); err != nil {
		return err
	}
	defer stopMetrics()
	nc, err := connect(broker, log)
	if err != nil {
		return err
	}
	defer nc.Close()
	return worker.Run(ctx, config, nc, log)
}
