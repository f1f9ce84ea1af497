// Command worker runs connectors for a Patchbay api, over NATS.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
	"patchbay.dev/worker"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	if err := run(ctx, os.Args[1:], os.Environ()); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args, environ []string) error {
	var config worker.Config
	var url, keyFile string
	var hosts []string
	var logging setting.Log
	fs := flag.NewFlagSet("worker", flag.ContinueOnError)
	config.Flags(fs)
	logging.Flags(fs)
	setting.Broker(fs, &url, "nats-url", nats.DefaultURL, "address of the NATS server")
	setting.Duration(fs, &config.ShutdownTimeout, "shutdown-timeout", "30s", "how long running executions may last once the worker stops")
	setting.List(fs, &hosts, "allowed-hosts", "*", "host names that connectors may reach, with commas; * for all")
	fs.StringVar(&keyFile, "seal-key-file", "", "file of the private keys that open secrets, the newest first")
	if len(args) >= 2 && args[0] == "keys" && keyCommands[args[1]] != nil {
		return keyCommands[args[1]](args[2:], environ)
	}
	unknown, err := setting.Parse(fs, args, environ)
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
	nc, err := connect(url, log)
	if err != nil {
		return err
	}
	defer nc.Close()
	return worker.Run(ctx, config, nc, log)
}

// generateKeys makes a key pair: "worker keys generate" writes the private key for
// the workers and the public key for the api to the files of the two settings. If
// they are there already it says so and changes nothing.
func generateKeys(args, environ []string) error {
	var private, public string
	flags := flag.NewFlagSet("worker keys generate", flag.ContinueOnError)
	flags.StringVar(&private, "seal-key-file", "seal.key", "new file for the private key, which only workers may read")
	flags.StringVar(&public, "seal-public-key-file", "seal.pub", "new file for the public key, which the api needs")
	if _, err := setting.Parse(flags, args, environ); err != nil {
		return err
	}
	// Keys that are there stay: without them nobody could open what was sealed.
	ring, err := seal.ReadOrGenerate(private)
	if err != nil {
		return fmt.Errorf("PATCHBAY_SEAL_KEY_FILE: %w", err)
	}
	if err := ring.Public().Write(public); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("PATCHBAY_SEAL_PUBLIC_KEY_FILE: %w", err)
	}
	if known, err := seal.ReadPublicKey(public); err != nil || known.ID() != ring.Public().ID() {
		return errors.Join(fmt.Errorf("PATCHBAY_SEAL_PUBLIC_KEY_FILE: %s is not the public half of %s", public, private), err)
	}
	fmt.Printf("key %s: private in %s, public in %s\n", ring.Public().ID(), private, public)
	return nil
}

// connect dials the broker and goes on trying, so that the order in which
// programs start does not matter. What a worker answers while the connection is
// broken is kept and sent when it is back.
func connect(url string, log *slog.Logger) (*nats.Conn, error) {
	nc, err := nats.Connect(url,
		nats.Name("patchbay worker"),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // credentials may be put right while we run
		nats.ReconnectWait(250*time.Millisecond),
		nats.PingInterval(10*time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil when we close it
				log.Warn("broker connection lost", "error", err)
			}
		}),
		nats.ConnectHandler(func(nc *nats.Conn) { log.Info("broker connected", "address", nc.ConnectedAddr()) }),
		nats.ReconnectHandler(func(nc *nats.Conn) { log.Info("broker connected", "address", nc.ConnectedAddr()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Error("broker reports", "error", err) }),
	)
	if err != nil {
		return nil, fmt.Errorf("PATCHBAY_NATS_URL: %w", err)
	}
	if !nc.IsConnected() {
		log.Warn("broker cannot be reached yet; trying again until it can", "error", nc.LastError())
	}
	return nc, nil
}
