// Command allinone is all of Patchbay in one process; it needs no other service.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"patchbay.dev/api"
	"patchbay.dev/deploy/inprocess"
	"patchbay.dev/shared/diagnose"
	"patchbay.dev/shared/setting"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	setting.TuneGC(os.Environ())
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	if err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "patchbay:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "seal-keys" {
		return changeKeys(ctx, args[1:], environ, stdout)
	}
	var config inprocess.Config
	var logging setting.Log
	var diagnostics diagnose.Config
	var metrics diagnose.Metrics
	if len(args) > 0 && args[0] == "keys" {
		return api.Keys(ctx, "allinone", args[1:], environ, stdout, stderr)
	}
	fs := flag.NewFlagSet("allinone", flag.ContinueOnError)
	fs.SetOutput(stderr)
	config.Flags(fs)
	logging.Flags(fs)
	diagnostics.Flags(fs)
	metrics.Flags(fs)
	if slices.Equal(args, []string{"health"}) { // for images without a shell
		if _, err := setting.Parse(fs, nil, environ); err != nil {
			return err
		}
		return api.CheckReady(ctx, config.API)
	}
	unknown, err := setting.Parse(fs, args, environ)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(stderr, "\nCommands, each with -help: allinone keys create|list|revoke: API keys; allinone seal-keys add|prune: keys of secrets; allinone health: is it ready?")
	}
	if err != nil {
		return err
	}
	config.API.Program, config.API.LookupEnv = "allinone", os.LookupEnv
	log := logging.New(stderr)
	setting.Warn(log, unknown)
	stopDiagnostics, err := diagnostics.Start(log)
	if err != nil {
		return err
	}
	defer stopDiagnostics()
	registry, stopMetrics, err := api.ServeMetrics(&metrics, log)
	if err != nil {
		return err
	}
	defer stopMetrics()
	config.API.Metrics, config.Worker.Metrics = registry, registry // one scrape tells of both
	config.API.Ready = func(url string) {
		fmt.Fprintf(stdout, "Patchbay is ready at %s (data in %s)\n", url, config.API.DataDir)
	}
	return inprocess.Run(ctx, config, log)
}
