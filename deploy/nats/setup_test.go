package nats_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker"
	"patchbay.dev/worker/pool"
)

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

// broker is a NATS server that runs nats.conf, edited or not, with the keys of its
// users.
type broker struct {
	*server.Server
	keys string // directory of the seeds
}

// generate makes keys with the real command's code and returns their directory.
func generate(t testing.TB) string {
	t.Helper()
	keys := filepath.Join(t.TempDir(), "keys")
	if _, err := worker.GenerateBrokerKeys(keys, filepath.Join(keys, "users.conf")); err != nil {
		t.Fatal(err)
	}
	return keys
}

// load reads a copy of nats.conf that lies beside keys. edits are pairs of what
// the copy says otherwise.
func load(t testing.TB, keys string, edits ...string) *server.Options {
	t.Helper()
	text, err := os.ReadFile("nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(string(text), edits[i]) {
			t.Fatalf("nats.conf has no %q", edits[i])
		}
		text = []byte(strings.ReplaceAll(string(text), edits[i], edits[i+1]))
	}
	file := filepath.Join(filepath.Dir(keys), "nats.conf")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return options
}

func start(t testing.TB, edits ...string) *broker {
	t.Helper()
	keys := generate(t)
	return run(t, load(t, keys, edits...), keys, server.RANDOM_PORT)
}

func run(t testing.TB, options *server.Options, keys string, port int) *broker {
	t.Helper()
	// Of this machine, and not what is tested.
	options.Host, options.Port, options.HTTPHost, options.HTTPPort = "127.0.0.1", port, "", 0
	options.StoreDir, options.NoSigs, options.NoLog = t.TempDir(), true, true
	running, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	running.Start()
	t.Cleanup(func() { running.Shutdown(); running.WaitForShutdown() })
	if !running.ReadyForConnections(patience) {
		t.Fatal("the broker did not start")
	}
	return &broker{running, keys}
}

func (b *broker) connect(t testing.TB, user string, options ...nats.Option) *nats.Conn {
	t.Helper()
	key, err := nats.NkeyOptionFromSeed(filepath.Join(b.keys, user, user+".nk"))
	if err != nil {
		t.Fatal(err)
	}
	if user == "api" {
		options = append(options, nats.CustomInboxPrefix(wire.InboxPrefix))
	}
	options = append([]nats.Option{key, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})}, options...)
	nc, err := nats.Connect(b.ClientURL(), options...)
	if err != nil {
		t.Fatalf("connect as %s: %v", user, err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func (b *broker) dispatcher(t testing.TB) *dispatch.Dispatcher {
	t.Helper()
	d, err := dispatch.New(b.connect(t, "api", nats.ReconnectBufSize(-1), refusesNothing(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return d
}

// execute is what a test's worker does with an execution of any type.
type execute func(ctx context.Context) (json.RawMessage, error)

func (b *broker) pool(t testing.TB, user string, slots int, handlers ...pool.Handler) {
	t.Helper()
	startPool(t, b.connect(t, user, refusesNothing(t)), slots, handlers...)
}

// refusesNothing fails a test in which the broker reports an error to a client.
func refusesNothing(t testing.TB) nats.Option {
	return nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { t.Errorf("the broker reports: %v", err) })
}

func startPool(t testing.TB, nc *nats.Conn, slots int, handlers ...pool.Handler) {
	t.Helper()
	p, err := pool.Start(nc, handlers, pool.Options{Slots: slots, Grace: patience, Hosts: connector.AllHosts()},
		slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
}

func serverLog(run execute) pool.Handler {
	return pool.Handle(connector.ServerLog,
		func(ctx context.Context, _ pool.Job[connector.None, connector.None, connector.ServerLogParams]) (json.RawMessage, error) {
			return run(ctx)
		})
}

func index(run execute) pool.Handler {
	return pool.Handle(connector.Index,
		func(ctx context.Context, _ pool.Job[connector.IndexConfig, connector.None, connector.IndexParams]) (json.RawMessage, error) {
			return run(ctx)
		})
}

func request(typeID string) *wire.Request {
	r := &wire.Request{ExecutionID: "e", Space: "default", Connector: wire.Connector{ID: "c", Type: typeID, Config: json.RawMessage(`{}`)},
		Params: json.RawMessage(`{"message":"m"}`)}
	if typeID == ".index" {
		r.Connector.Config, r.Params = json.RawMessage(`{"index":"i"}`), json.RawMessage(`{"documents":[]}`)
	}
	return r
}

func allTypes() []string {
	var types []string
	for _, t := range connector.All {
		types = append(types, t.Describe().ID)
	}
	return types
}
