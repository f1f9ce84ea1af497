package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should come at once, or nearly.
const patience = 30 * time.Second

// broker is a broker that can be restarted under its connections.
type broker struct {
	testing.TB
	options server.Options

	mu      sync.Mutex
	running *server.Server
}

func startBroker(t testing.TB, edits ...func(*server.Options)) *broker {
	t.Helper()
	b := &broker{TB: t, options: server.Options{
		DontListen: true, NoSigs: true, NoLog: true, MaxPayload: 1 << 20,
		JetStream: true, JetStreamMaxStore: 1 << 30, StoreDir: t.TempDir(), SyncAlways: true,
	}}
	for _, edit := range edits {
		edit(&b.options)
	}
	b.start()
	t.Cleanup(b.stop)
	return b
}

func (b *broker) start() {
	b.Helper()
	options := b.options
	running, err := server.NewServer(&options)
	if err != nil {
		b.Fatal(err)
	}
	running.Start()
	if !running.ReadyForConnections(patience) {
		b.Fatal("the broker did not start")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running = running
}

func (b *broker) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running.Shutdown()
	b.running.WaitForShutdown()
}

// wipe is what becomes of a broker without a disk.
func (b *broker) wipe() {
	b.Helper()
	b.stop()
	if err := os.RemoveAll(b.options.StoreDir); err != nil {
		b.Fatal(err)
	}
	b.start()
}

// InProcessConn implements [nats.InProcessConnProvider] with the broker that runs now.
func (b *broker) InProcessConn() (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.running.InProcessConn()
}

// connect connects as the api does.
func (b *broker) connect(options ...nats.Option) *nats.Conn {
	b.Helper()
	nc, err := nats.Connect("", append([]nats.Option{
		nats.InProcessServer(b), nats.ReconnectBufSize(-1), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.CustomInboxPrefix(wire.InboxPrefix), nats.ReconnectWait(10 * time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.Log("broker reports", err) }),
	}, options...)...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	return nc
}

func jetStream(t testing.TB, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// bundle is a ledger, and a Queue that runs it.
type bundle struct {
	testing.TB
	*broker
	ledger  *ledger.Ledger
	options Options
	log     *slog.Logger
	run     Run
	submit  Submit

	count int // executions that were accepted
}

// setup starts a broker and a ledger. The queue is not started.
func setup(t testing.TB, edits ...func(*server.Options)) *bundle {
	t.Helper()
	b := &bundle{TB: t, broker: startBroker(t, edits...), log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	b.options = Options{
		Slots: 16, Bytes: 1 << 20, RetryDelay: time.Millisecond, MaxRetryDelay: 10 * time.Millisecond, MaxAge: time.Hour,
		AckWait: patience, Replicas: 1, MaxSubmitted: 1 << 20, Grace: patience,
	}
	b.submit = func(context.Context, string, []Line) []error { panic("nothing was submitted") }
	b.openLedger(ledger.Options{})
	return b
}

func (b *bundle) openLedger(options ledger.Options) {
	b.TB.Helper()
	l, err := ledger.Open(b.TB.Context(), b.TB.TempDir(), options)
	if err != nil {
		b.TB.Fatal(err)
	}
	b.TB.Cleanup(func() {
		if err := l.Close(); err != nil {
			b.TB.Errorf("Close: %v", err)
		}
	})
	b.ledger = l
}

// start runs the queue until the test ends, or stop is called.
func (b *bundle) start(edits ...func(*Queue)) (stop func() error) {
	b.TB.Helper()
	return b.startOn(b.connect(), edits...)
}

func (b *bundle) startOn(nc *nats.Conn, edits ...func(*Queue)) (stop func() error) {
	b.TB.Helper()
	q := New(nc, b.ledger, b.run, b.submit, b.options, b.log)
	for _, edit := range edits {
		edit(q)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	b.TB.Cleanup(func() { _ = stop() })
	return stop
}

// accept queues n executions of a connector of the type .index and returns their ids.
func (b *bundle) accept(connector string, n int, edits ...func(*ledger.Submission)) []string {
	b.TB.Helper()
	ids, batch := make([]string, n), make([]ledger.Submission, n)
	for i := range n {
		b.count++
		ids[i] = fmt.Sprintf("e%d", b.count)
		batch[i] = ledger.Submission{
			ID: ids[i], Space: "default", ConnectorID: connector, ConnectorName: "name of " + connector, Type: ".index",
			MaxAttempts: 3, Params: json.RawMessage(`{"n":1}`),
		}
		for _, edit := range edits {
			edit(&batch[i])
		}
	}
	accepted, err := b.ledger.Accept(b.TB.Context(), batch)
	if err != nil {
		b.TB.Fatal(err)
	}
	for _, a := range accepted {
		if a.Err != nil {
			b.TB.Fatal(a.Err)
		}
	}
	return ids
}

// wait returns an execution and its attempts once it has ended.
func (b *bundle) wait(id string) (ledger.Execution, []ledger.Attempt) {
	b.TB.Helper()
	ended, stop := b.ledger.Watch("default", id)
	defer stop()
	deadline := time.After(patience)
	for {
		e, attempts, err := b.ledger.Get(context.Background(), "default", id)
		if err != nil {
			b.TB.Fatalf("Get %s: %v", id, err)
		}
		if e.State == ledger.Done || e.State == ledger.Dead {
			return e, attempts
		}
		select {
		case <-ended:
		case <-deadline:
			b.TB.Fatalf("execution %s did not end: %+v", id, e)
		}
	}
}

// allDone waits until executions have ended well, and checks that each was run once.
func (b *bundle) allDone(ids []string) {
	b.TB.Helper()
	for _, id := range ids {
		if e, attempts := b.wait(id); e.State != ledger.Done || len(attempts) != 1 {
			b.TB.Errorf("execution %s is %s after %d attempts, want done after one", id, e.State, len(attempts))
		}
	}
}

func (b *bundle) state(id string) ledger.Execution {
	b.TB.Helper()
	e, _, err := b.ledger.Get(context.Background(), "default", id)
	if err != nil {
		b.TB.Fatal(err)
	}
	return e
}

// counter is a Run that does nothing and counts.
type counter struct {
	mu   sync.Mutex
	runs map[string]int
	ran  chan string // every run, if there is room
}

func newCounter() *counter {
	return &counter{runs: make(map[string]int), ran: make(chan string, 10_000)}
}

func (c *counter) run(_ context.Context, job *ledger.Job) (wire.Reply, error) {
	c.mu.Lock()
	c.runs[job.ID]++
	c.mu.Unlock()
	select {
	case c.ran <- job.ID:
	default:
	}
	return wire.Reply{}, nil
}

// once checks that executions were run once each.
func (c *counter) once(t testing.TB, ids []string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if c.runs[id] != 1 {
			t.Errorf("%s was run %d times", id, c.runs[id])
		}
	}
}

// receive returns what comes on c.
func receive[T any](t testing.TB, c <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-c:
	case <-time.After(patience):
		t.Fatal("it did not come")
	}
	return got
}
