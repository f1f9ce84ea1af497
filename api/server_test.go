package api

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
)

// running is a server that [Run] runs.
type running struct {
	url   string
	stop  context.CancelFunc
	ended chan error
}

func run(t *testing.T, config Config, nc *nats.Conn) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ready := make(chan string, 1)
	config.MaxBody, config.MaxConnectors = 1<<20, 10
	config.Addr = either(config.Addr, "127.0.0.1:0")
	config.ExecuteTimeout = either(config.ExecuteTimeout, 10*time.Second)
	config.ReadTimeout = either(config.ReadTimeout, 10*time.Second)
	config.QueueSlots, config.QueueBytes, config.QueueMaxAge, config.Attempts = 64, 64<<20, time.Hour, 3
	config.RetryDelay, config.MaxRetryDelay = time.Millisecond, time.Millisecond
	config.StreamReplicas, config.MaxSubmitted = 1, 1<<20
	config.Ready = func(url string) { ready <- url }
	r := &running{stop: stop, ended: make(chan error, 1)}
	go func() { r.ended <- Run(ctx, config, nc, slog.New(slog.NewTextHandler(t.Output(), nil))) }()
	select {
	case r.url = <-ready:
	case err := <-r.ended:
		t.Fatal(err)
	}
	return r
}

// call returns the status and body of an answer; 0 if there was none.
func (r *running) call(t *testing.T, method, path, body string) (int, string) {
	request, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(data)
}

// held is a worker that keeps an execution until it is released.
func held(t *testing.T, nc *nats.Conn) (arrived <-chan struct{}, release func()) {
	t.Helper()
	taken, released, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	_, err := nc.QueueSubscribe("patchbay.v1.execute.server-log", wire.QueueGroup, func(msg *nats.Msg) {
		if len(msg.Data) == 0 { // the probe
			_ = msg.Respond(nil)
			return
		}
		defer close(done)
		close(taken)
		<-released
		if err := msg.Respond([]byte(`{}`)); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return taken, func() { close(released); <-done }
}

func TestRunLetsRequestsInFlightFinish(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, 0)
	arrived, release := held(t, connect(t, broker))
	r := run(t, Config{DataDir: t.TempDir(), ShutdownTimeout: 10 * time.Second}, connect(t, broker))
	if status, body := r.call(t, "POST", "/api/actions/connector/a", serverLogBody); status != http.StatusOK {
		t.Fatal(status, body)
	}
	answered := make(chan string, 1)
	go func() {
		_, body := r.call(t, "POST", "/api/actions/connector/a/_execute", executeLog)
		answered <- body
	}()
	await(t, arrived)
	r.stop()
	waitRefused(t, r.url)
	release()
	if got, want := await(t, answered), `{"connector_id":"a","status":"ok"}`; got != want {
		t.Errorf("the request in flight got %s, want %s", got, want)
	}
	if err := await(t, r.ended); err != nil {
		t.Errorf("run: %v", err)
	}
}

// waitRefused waits until nothing listens any more.
func waitRefused(t *testing.T, url string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Fatal("the server still listens")
}

func TestRunTellsThatRequestsWereCutOff(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, 0)
	arrived, release := held(t, connect(t, broker))
	r := run(t, Config{DataDir: t.TempDir(), ShutdownTimeout: 20 * time.Millisecond}, connect(t, broker))
	if status, body := r.call(t, "POST", "/api/actions/connector/a", serverLogBody); status != http.StatusOK {
		t.Fatal(status, body)
	}
	cut := make(chan string, 1)
	go func() {
		_, body := r.call(t, "POST", "/api/actions/connector/a/_execute", executeLog)
		cut <- body
	}()
	await(t, arrived)
	r.stop()
	if err := await(t, r.ended); err == nil || !strings.Contains(err.Error(), "stop: requests still ran after 20ms") {
		t.Errorf("run: %v", err)
	}
	if body := await(t, cut); !strings.Contains(body, "the outcome is unknown: the api was stopped while the execution was running") {
		t.Errorf("the request in flight got %s, want an unknown outcome", body)
	}
	release()
}

// await receives from a channel, or fails the test if nothing comes.
func await[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came in time")
		panic("unreachable")
	}
}

func TestRunKeepsConnectorsForTheNextStart(t *testing.T) {
	t.Parallel()
	broker, dir := startBroker(t, 0), t.TempDir()
	for start := range 2 {
		r := run(t, Config{DataDir: dir, ShutdownTimeout: 10 * time.Second}, connect(t, broker))
		want := []int{http.StatusOK, http.StatusConflict}[start]
		if status, body := r.call(t, "POST", "/api/actions/connector/a", serverLogBody); status != want {
			t.Errorf("start %d: %d %s", start, status, body)
		}
		r.stop()
		if err := await(t, r.ended); err != nil {
			t.Errorf("run: %v", err)
		}
	}
}

func TestRunRefusesToStart(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, 0)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	closed := connect(t, broker)
	closed.Close()
	for name, test := range map[string]struct {
		config Config
		nc     *nats.Conn
		want   string
	}{
		"configuration file": {Config{ConfigFile: writeConfig(t, "foo: 1")}, connect(t, broker), "PATCHBAY_CONFIG: "},
		"data directory":     {Config{DataDir: filepath.Join(writeConfig(t, ""), "x")}, connect(t, broker), "make data directory: "},
		"address":            {Config{DataDir: t.TempDir(), Addr: taken.Addr().String()}, connect(t, broker), "PATCHBAY_HTTP_ADDR: listen tcp "},
		"broker connection":  {Config{DataDir: t.TempDir()}, closed, "subscribe to replies: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // it would serve for ever
			defer cancel()
			err := Run(ctx, test.config, test.nc, slog.New(slog.NewTextHandler(t.Output(), nil)))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}
