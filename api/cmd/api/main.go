// Command api keeps connectors and answers HTTP; workers run them, over NATS.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"patchbay.dev/api"
	"patchbay.dev/shared/diagnose"
	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	setting.TuneGC(os.Environ())
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	if err := run(ctx, os.Args[1:], os.Environ()); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args, environ []string) error {
	var config api.Config
	var broker setting.Broker
	var keyFile string
	var hosts []string
	var logging setting.Log
	var diagnostics diagnose.Config
	var metrics diagnose.Metrics
	if len(args) > 0 && args[0] == "keys" {
		return api.Keys(ctx, "api", args[1:], environ, os.Stdout, os.Stderr)
	}
	fs := flag.NewFlagSet("api", flag.ContinueOnError)
	config.Flags(fs)
	logging.Flags(fs)
	diagnostics.Flags(fs)
	metrics.Flags(fs)
	broker.Flags(fs)
	setting.Duration(fs, &config.ShutdownTimeout, "shutdown-timeout", "30s", "how long requests in flight may last once the api stops")
	setting.List(fs, &hosts, "allowed-hosts", "*", "host names that connectors may reach, with commas; * for all")
	fs.StringVar(&keyFile, "seal-public-key-file", "", "file of the public key to which secrets are sealed")
	if slices.Equal(args, []string{"health"}) {
		return health(ctx, fs, &config, environ)
	}
	unknown, err := setting.Parse(fs, args, environ)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "\nCommands, each with -help: api keys create|list|revoke: API keys; api health: is it ready?")
	}
	if err != nil {
		return err
	}
	config.Program, config.Hosts, config.LookupEnv = "api", hosts, os.LookupEnv
	if keyFile != "" {
		if config.SealKey, err = seal.FollowPublicKey(keyFile); err != nil {
			return fmt.Errorf("PATCHBAY_SEAL_PUBLIC_KEY_FILE: %w", err)
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
	if config.Metrics, stopMetrics, err = api.ServeMetrics(&metrics, log); err != nil {
		return err
	}
	defer stopMetrics()
	nc, err := connect(broker, log)
	if err != nil {
		return err
	}
	defer nc.Close()
	return api.Run(ctx, config, nc, log)
}

// health is for images without a shell: "api health" asks the api that runs with
// the same settings whether it is ready.
func health(ctx context.Context, fs *flag.FlagSet, config *api.Config, environ []string) error {
	if _, err := setting.Parse(fs, nil, environ); err != nil {
		return err
	}
	return api.CheckReady(ctx, *config)
}
