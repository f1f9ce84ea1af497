package pooltest

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Broker starts a NATS server in this process for the duration of a test. It
// calls t.Fatal if that does not work.
func Broker(t testing.TB) *server.Server {
	t.Helper()
	broker, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	t.Cleanup(func() { broker.Shutdown(); broker.WaitForShutdown() })
	if !broker.ReadyForConnections(10 * time.Second) {
		t.Fatal("the broker did not start")
	}
	return broker
}

// Connect connects to a broker for the duration of a test.
func Connect(t testing.TB, broker *server.Server, options ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("", append(options, nats.InProcessServer(broker))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}
