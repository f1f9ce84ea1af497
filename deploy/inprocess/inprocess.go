// Package inprocess runs all of Patchbay in one process: the API, workers of
// every type, and the broker between them.
package inprocess

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"patchbay.dev/api"
	"patchbay.dev/shared/setting"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker"
)

// MaxPayload is the broker's limit for one message, in bytes.
const MaxPayload = 8 << 20

// maxPending is how many bytes may wait for one connection before the broker cuts
// it: hundreds of the largest messages, where its default is eight.
const maxPending = 1 << 30

// brokerStart is how long the broker may take to start; it takes about 1 ms.
const brokerStart = 10 * time.Second

// Config configures [Run].
type Config struct {
	API    api.Config
	Worker worker.Config

	hosts   []string
	keyFile string
}

// Flags declares the settings of all parts, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	c.API.Flags(fs)
	c.Worker.Flags(fs)
	setting.List(fs, &c.hosts, "allowed-hosts", "*", "host names that connectors may reach, with commas; * for all")
	fs.StringVar(&c.keyFile, "seal-key-file", "", "file of the keys that seal and open secrets; seal.key in the data directory if none is named")
	setting.Duration(fs, &c.API.ShutdownTimeout, "shutdown-timeout", "30s", "how long requests in flight may last once it stops")
}

// Run runs all parts until ctx ends, then stops them in the order in which
// nothing in flight is lost: the API, the worker, the broker.
func Run(ctx context.Context, config Config, log *slog.Logger) (err error) {
	config.Worker.ShutdownTimeout = config.API.ShutdownTimeout
	config.API.Hosts, config.Worker.Hosts = config.hosts, config.hosts
	if err = config.followKeys(); err != nil {
		return err
	}
	broker, err := startBroker(filepath.Join(config.API.DataDir, "nats"))
	if err != nil {
		return err
	}
	defer func() {
		broker.Shutdown()
		broker.WaitForShutdown()
	}()
	logError := func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Error("broker reports", "error", err) }
	workerConn, err := nats.Connect("", nats.InProcessServer(broker), nats.Name("patchbay worker"), nats.MaxReconnects(-1),
		nats.ReconnectWait(250*time.Millisecond), nats.ErrorHandler(logError))
	if err != nil {
		return fmt.Errorf("connect worker to broker: %w", err)
	}
	defer workerConn.Close()
	apiConn, err := nats.Connect("", nats.InProcessServer(broker), nats.Name("patchbay api"), nats.MaxReconnects(-1), nats.CustomInboxPrefix(wire.InboxPrefix),
		nats.ReconnectWait(50*time.Millisecond), nats.ReconnectJitter(0, 0), nats.ReconnectBufSize(-1), nats.ErrorHandler(logError))
	if err != nil {
		return fmt.Errorf("connect api to broker: %w", err)
	}
	defer apiConn.Close()

	stopWorker, err := startWorker(ctx, config.Worker, workerConn, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopWorker()) }()
	return api.Run(ctx, config.API, apiConn, log)
}

// startWorker returns when executions can arrive. The worker goes on after ctx
// ends, until it is stopped.
func startWorker(ctx context.Context, config worker.Config, nc *nats.Conn, log *slog.Logger) (stop func() error, err error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ready, ended := make(chan struct{}), make(chan error, 1)
	config.Ready = func() { close(ready) }
	go func() { ended <- worker.Run(ctx, config, nc, log) }()
	select {
	case <-ready:
		return func() error { cancel(); return <-ended }, nil
	case err := <-ended:
		cancel()
		return nil, err
	}
}

// startBroker starts a broker that keeps the tickets of queued executions in dir. They
// can go: what is queued stands in the api's database.
func startBroker(dir string) (*server.Server, error) {
	broker, err := server.NewServer(&server.Options{
		ServerName: "patchbay",
		DontListen: true, // only this process can connect
		MaxPayload: MaxPayload,
		MaxPending: maxPending,
		JetStream:  true,
		StoreDir:   dir,
		NoSigs:     true,
		NoLog:      true,
	})
	if err != nil {
		return nil, fmt.Errorf("make broker: %w", err)
	}
	broker.Start()
	if !broker.ReadyForConnections(brokerStart) {
		broker.Shutdown()
		return nil, fmt.Errorf("broker did not start within %s", brokerStart)
	}
	return broker, nil
}
