package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/api/store"
	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
	"patchbay.dev/shared/wire"
)

// options say how the server of a test differs from the usual one.
type options struct {
	preconfigured string                         // YAML of the configuration file
	maxConnectors int                            // 0 for 100
	maxSpaces     int                            // 0 for 20
	maxBody       int64                          // bytes; 0 for 1 MiB
	maxPayload    int32                          // bytes that the broker takes; 0 for 1 MiB
	timeout       time.Duration                  // of an execution; 0 for 10 s
	routes        func(*echo.Echo)               // adds routes
	log           slog.Handler                   // nil for the test's output
	audit         slog.Handler                   // nil for no audit log
	maxKeys       int                            // 0 for 100
	maxRate       int                            // requests a second per key; 0 for 1000
	maxRunning    int                            // executions at once per key; 0 for 100
	maxInFlight   int                            // executions at once; 0 for 1000
	inFlightBytes int64                          // bytes of them; 0 for 64 MiB
	key           *setting.File[*seal.PublicKey] // nil for testKeeper's
	queue         bool                           // what is queued is run
	maxQueued     int                            // executions; 0 for the usual
	perConnector  int                            // queued ones; 0 for the usual
	attempts      int                            // 0 for 3
	config        func(*Config)                  // changes more
}

// bundle is a server on a real database and a real broker, and a client whose
// every request and answer is held to the API's description.
type bundle struct {
	*testing.T
	url     string
	dir     string // of the database
	server  *server
	echo    *echo.Echo
	spec    *specification
	broker  *natsserver.Server
	workers *nats.Conn // of the stand-ins for workers

	stopQueue func() // if it runs
}

// testKeeper allows every host, seals to a key of its own, and knows one variable.
var testKeeper = keeper{
	hosts:  connector.AllHosts(),
	key:    setting.Fixed(testRing.Public()),
	lookup: func(name string) (string, bool) { return "t0ken-of-the-env", name == "JIRA_TOKEN" },
}

// testRing opens what testKeeper seals.
var testRing = func() *seal.Ring {
	ring, err := seal.Generate()
	if err != nil {
		panic(err)
	}
	return ring
}()

func setup(t *testing.T) *bundle { return setupWith(t, options{}) }

func setupWith(t *testing.T, o options) *bundle {
	t.Helper()
	b := &bundle{T: t, spec: loadSpecification(t)}
	if o.queue {
		b.broker = startJetStream(t)
	} else {
		b.broker = startBroker(t, o.maxPayload)
	}
	if o.log == nil {
		o.log = slog.NewTextHandler(t.Output(), nil)
	}
	b.server = &server{
		config: Config{
			MaxBody:        either(o.maxBody, 1<<20),
			MaxConnectors:  either(o.maxConnectors, 100),
			ExecuteTimeout: either(o.timeout, 10*time.Second),
			MaxSpaces:      either(o.maxSpaces, 20),
			ReadTimeout:    10 * time.Second,

			MaxInFlight: either(o.maxInFlight, 1000), MaxInFlightBytes: either(o.inFlightBytes, 64<<20),

			MaxQueued: o.maxQueued, MaxQueuedPerConnector: o.perConnector, Attempts: either(o.attempts, 3),
			QueueSlots: 64, QueueBytes: 64 << 20, QueueMaxAge: time.Hour, RetryDelay: time.Millisecond, MaxRetryDelay: time.Millisecond,
			StreamReplicas: 1, MaxSubmitted: 1 << 20, ShutdownTimeout: 10 * time.Second,
		},
		stopping: make(chan struct{}),
		log:      slog.New(o.log),
		nc:       connect(t, b.broker),
		keeper:   testKeeper,
		audit:    newAuditor(o.audit),
	}
	if o.config != nil {
		o.config(&b.server.config)
	}
	b.workers = connect(t, b.broker)
	b.server.keeper.key, b.server.keeper.log = either(o.key, testKeeper.key), b.server.log
	var err error
	if b.server.admission, err = newAdmission(&b.server.config); err != nil {
		t.Fatal(err)
	}
	if o.preconfigured != "" {
		if b.server.preconfigured, err = b.server.keeper.loadPreconfigured(writeConfig(t, o.preconfigured)); err != nil {
			t.Fatal(err)
		}
	}
	b.dir = t.TempDir()
	b.server.store, err = store.Open(t.Context(), b.dir, store.Options{
		MaxConnectors: b.server.config.MaxConnectors, MaxSpaces: b.server.config.MaxSpaces, MaxKeys: either(o.maxKeys, 100),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.server.store.Close() })
	b.server.config.DataDir = b.dir
	if err := b.server.openLedger(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.server.closeLedger(); err != nil {
			t.Error(err)
		}
	})
	b.server.guard = &guard{
		store: b.server.store, log: b.server.log, limits: keyLimits{either(o.maxRate, 1000), either(o.maxRunning, 100)},
	}
	if b.server.dispatch, err = dispatch.New(b.server.nc); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.server.dispatch.Close() })
	if err := b.server.openMetrics(); err != nil {
		t.Fatal(err)
	}
	if o.queue {
		stop := sync.OnceValue(b.server.startQueue(context.WithoutCancel(t.Context())))
		b.stopQueue = func() {
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
		t.Cleanup(b.stopQueue)
	}
	b.echo = b.server.routes()
	if o.routes != nil {
		o.routes(b.echo)
	}
	listener := httptest.NewServer(b.echo)
	t.Cleanup(listener.Close)
	b.url = listener.URL
	return b
}

// in returns the bundle for a subtest.
func (b *bundle) in(t *testing.T) *bundle {
	c := *b
	c.T = t
	return &c
}

func either[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

func startBroker(t testing.TB, maxPayload int32) *natsserver.Server {
	t.Helper()
	return startBrokerWith(t, natsserver.Options{MaxPayload: either(maxPayload, 1<<20)})
}

// startJetStream starts a broker that keeps streams.
func startJetStream(t testing.TB) *natsserver.Server {
	t.Helper()
	return startBrokerWith(t, natsserver.Options{
		MaxPayload: 1 << 20, JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: 1 << 30,
	})
}

func startBrokerWith(t testing.TB, o natsserver.Options) *natsserver.Server {
	t.Helper()
	o.DontListen, o.NoSigs, o.NoLog = true, true, true
	broker, err := natsserver.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	if !broker.ReadyForConnections(10 * time.Second) {
		t.Fatal("broker did not start")
	}
	t.Cleanup(func() {
		broker.Shutdown()
		broker.WaitForShutdown()
	})
	return broker
}

func connect(t testing.TB, broker *natsserver.Server) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(broker), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func writeConfig(t *testing.T, yaml string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "patchbay.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// work stands in for a worker of a type: it answers executions until the test
// ends.
func (b *bundle) work(typeID string, answer func(wire.Request, nats.Header) wire.Reply) {
	b.Helper()
	b.subscribe(typeID, func(msg *nats.Msg) {
		var request wire.Request
		if err := json.Unmarshal(msg.Data, &request); err != nil {
			b.Errorf("request to worker: %v", err)
		}
		reply, err := json.Marshal(answer(request, msg.Header))
		if err != nil {
			b.Errorf("reply of worker: %v", err)
		}
		if err := msg.Respond(reply); err != nil {
			b.Errorf("respond: %v", err)
		}
	})
}

// subscribe receives executions of a type, as one member of the queue group.
func (b *bundle) subscribe(typeID string, receive nats.MsgHandler) {
	b.Helper()
	subject, err := wire.Subject(typeID)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := b.workers.QueueSubscribe(subject, wire.QueueGroup, receive); err != nil {
		b.Fatal(err)
	}
	if err := b.workers.Flush(); err != nil {
		b.Fatal(err)
	}
}

// answer is what came back, body and all.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request that conforms to the description of the API.
func (b *bundle) send(method, path, body string, edits ...func(*http.Request)) answer {
	b.Helper()
	return b.do(true, method, path, body, edits...)
}

// sendBad sends a request that may be anything.
func (b *bundle) sendBad(method, path, body string, edits ...func(*http.Request)) answer {
	b.Helper()
	return b.do(false, method, path, body, edits...)
}

func (b *bundle) do(conforms bool, method, path, body string, edits ...func(*http.Request)) answer {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, edit := range edits {
		edit(request)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		b.Fatal(err)
	}
	got := answer{status: response.StatusCode, header: response.Header, body: string(data)}
	template, params := b.route(request)
	b.spec.check(b.T, exchange{request: request, body: body, conforms: conforms, template: template, params: params, answer: got})
	return got
}

// route returns what the server's own router makes of a request.
func (b *bundle) route(r *http.Request) (template string, params map[string]string) {
	c := b.echo.NewContext(r, nil)
	b.echo.Router().Find(r.Method, echo.GetPath(r), c)
	params = make(map[string]string)
	for i, name := range c.ParamNames() {
		params[name] = c.ParamValues()[i]
	}
	return c.Path(), params
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// must fails the test at once when the status is another than wanted.
func (b *bundle) must(got answer, status int) answer {
	b.Helper()
	if got.status != status {
		b.Fatalf("status %d, want %d; body: %s", got.status, status, got.body)
	}
	return got
}

// wantAnswer compares status and body, the latter as JSON with keys in any order.
func (b *bundle) wantAnswer(got answer, status int, body string) {
	b.Helper()
	if got.status != status {
		b.Errorf("status %d, want %d", got.status, status)
	}
	if diff := cmp.Diff(decoded(b.T, body), decoded(b.T, got.body)); diff != "" {
		b.Errorf("body (-want +got):\n%s", diff)
	}
}

// wantError compares an answer with the envelope of an error.
func (b *bundle) wantError(got answer, status int, message string) {
	b.Helper()
	b.wantAnswer(got, status, envelope(status, message))
}

func envelope(status int, message string) string {
	return fmt.Sprintf(`{"statusCode":%d,"error":%q,"message":%s}`, status, http.StatusText(status), quote(message))
}

func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return strings.TrimSpace(b.String())
}

func decoded(t *testing.T, body string) any {
	t.Helper()
	if body == "" {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return v
}

const (
	indexBody     = `{"name":"Alerts","connector_type_id":".index","config":{"index":"alerts"}}`
	serverLogBody = `{"name":"Log","connector_type_id":".server-log"}`
)

// create stores a connector of the default space under an id.
func (b *bundle) create(id, body string) {
	b.Helper()
	b.must(b.send("POST", "/api/actions/connector/"+id, body), http.StatusOK)
}

// stopBroker ends the broker and waits until the server has noticed.
func (b *bundle) stopBroker() {
	b.Helper()
	lost := b.server.nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	defer b.server.nc.RemoveStatusListener(lost)
	b.broker.Shutdown()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
	defer cancel()
	select {
	case <-lost:
	case <-ctx.Done():
		b.Fatal("the server did not notice that the broker is gone")
	}
}
