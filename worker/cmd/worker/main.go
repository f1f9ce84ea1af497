// Command worker runs connectors for a Patchbay api, over NATS.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

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
	var url string
	var logging setting.Log
	fs := flag.NewFlagSet("worker", flag.ContinueOnError)
	config.Flags(fs)
	logging.Flags(fs)
	setting.Broker(fs, &url, "nats-url", nats.DefaultURL, "address of the NATS server")
	setting.Duration(fs, &config.ShutdownTimeout, "shutdown-timeout", "30s", "how long running executions may last once the worker stops")
	unknown, err := setting.Parse(fs, args, environ)
	if err != nil {
		return err
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
