// Command broker is the NATS server of the benchmarks that run Patchbay in
// parts, with the limits of deploy/nats/nats.conf and without users.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "broker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "patchbay-bench-broker-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	broker, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, MaxPayload: 8 << 20, MaxPending: 1 << 30, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: dir, SyncAlways: true, // as in nats.conf
	})
	if err != nil {
		return err
	}
	broker.Start()
	defer broker.WaitForShutdown()
	defer broker.Shutdown()
	if !broker.ReadyForConnections(10 * time.Second) {
		return errors.New("it did not start")
	}
	fmt.Printf("Broker is ready at %s\n", broker.ClientURL())
	<-ctx.Done()
	return nil
}
