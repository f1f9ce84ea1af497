package e2e_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"patchbay.dev/api"
	"patchbay.dev/worker"
	"patchbay.dev/worker/index"
	"patchbay.dev/worker/index/elastictest"
)

// parts is Patchbay in separate parts, as it is deployed, with a broker that
// listens on TCP.
type parts struct {
	broker  *server.Server
	cluster *elastictest.Server
	url     string // of the api
	log     *slog.Logger
}

func startParts(t *testing.T, edits ...func(*api.Config)) *parts {
	t.Helper()
	p := &parts{log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	broker, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	t.Cleanup(func() { broker.Shutdown(); broker.WaitForShutdown() })
	if !broker.ReadyForConnections(10 * time.Second) {
		t.Fatal("the broker did not start")
	}
	p.broker = broker
	p.cluster = elastictest.Start()
	t.Cleanup(p.cluster.Close)

	nc := p.connect(t, nats.ReconnectBufSize(-1))
	ready := make(chan string, 1)
	config := api.Config{
		Addr: "127.0.0.1:0", DataDir: t.TempDir(), ExecuteTimeout: 10 * time.Second, MaxBody: 1 << 20, MaxConnectors: 10,
		ReadTimeout: 10 * time.Second, ShutdownTimeout: 10 * time.Second, Ready: func(url string) { ready <- url },
	}
	for _, edit := range edits {
		edit(&config)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- api.Run(ctx, config, nc, p.log) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("api: %v", err)
		}
	})
	select {
	case p.url = <-ready:
	case <-time.After(10 * time.Second):
		t.Fatal("the api did not start")
	}
	p.post(t, "/api/actions/connector/log", `{"name":"n","connector_type_id":".server-log"}`)
	p.post(t, "/api/actions/connector/index", `{"name":"n","connector_type_id":".index","config":{"index":"i"}}`)
	return p
}

func (p *parts) connect(t *testing.T, options ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(p.broker.ClientURL(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// startWorker returns when the worker takes executions; stop returns when it has
// ended.
func (p *parts) startWorker(t *testing.T, edits ...func(*worker.Config)) (stop func()) {
	t.Helper()
	nc := p.connect(t)
	ready := make(chan struct{})
	config := worker.Config{
		Slots: 64, Types: []string{"all"}, Index: index.Config{URL: p.cluster.URL()}, MaxResponse: 1 << 20,
		ShutdownTimeout: 10 * time.Second, Ready: func() { close(ready) },
	}
	for _, edit := range edits {
		edit(&config)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx, config, nc, p.log) }()
	select {
	case <-ready:
	case <-time.After(10 * time.Second):
		t.Fatal("the worker did not start")
	}
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("worker: %v", err)
		}
		nc.Close()
	})
}

// post returns the status and body of the answer, or fails the test.
func (p *parts) post(t *testing.T, path, body string) (int, string) {
	t.Helper()
	status, answer, err := postJSON(p.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	return status, answer
}

func postJSON(url, body string) (int, string, error) {
	response, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), err
}

func TestWorkersRestartUnderLoadWithoutAnError(t *testing.T) {
	t.Parallel()
	p := startParts(t)
	stops := []func(){p.startWorker(t), p.startWorker(t)}

	executions := map[string]string{
		"log":   `{"params":{"message":"m"}}`,
		"index": `{"params":{"documents":[{"n":1}]}}`,
	}
	var answered, written atomic.Int64
	var done atomic.Bool
	var callers sync.WaitGroup
	for n := range 16 {
		id := []string{"log", "index"}[n%2]
		callers.Go(func() {
			for !done.Load() {
				status, body, err := postJSON(p.url+"/api/actions/connector/"+id+"/_execute", executions[id])
				if err != nil || status != http.StatusOK || !strings.Contains(body, `"status":"ok"`) {
					t.Errorf("execute %s: %d %s %v", id, status, body, err)
					return
				}
				answered.Add(1)
				if id == "index" {
					written.Add(1)
				}
			}
		})
	}
	for restart := range 9 {
		// Each worker meets some load before it goes.
		for target := answered.Load() + 200; answered.Load() < target && !t.Failed(); {
			<-time.After(time.Millisecond)
		}
		stops[restart%2]()
		stops[restart%2] = p.startWorker(t)
	}
	done.Store(true)
	callers.Wait()
	for _, stop := range stops {
		stop()
	}
	// None lost, none twice.
	if got, want := int64(len(p.cluster.Documents("i"))), written.Load(); got != want {
		t.Errorf("the cluster has %d documents, %d were answered", got, want)
	}
	t.Logf("%d executions during 9 restarts", answered.Load())
}

func TestWorkerThatDiesIsToldAsUnknown(t *testing.T) {
	t.Parallel()
	p := startParts(t)
	p.post(t, "/api/actions/connector/silent", `{"name":"n","connector_type_id":".index","config":{"index":"silent"}}`)
	nc := p.connect(t, nats.NoReconnect())
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	config := worker.Config{
		Slots: 1, Types: []string{"all"}, Index: index.Config{URL: p.cluster.URL()}, MaxResponse: 1 << 20,
		ShutdownTimeout: time.Second, Ready: func() { close(ready) },
	}
	go func() { ended <- worker.Run(ctx, config, nc, p.log) }()
	<-ready
	answer := make(chan string, 1)
	go func() {
		_, body, err := postJSON(p.url+"/api/actions/connector/silent/_execute", `{"params":{"documents":[{"n":1}]}}`)
		answer <- fmt.Sprint(body, err)
	}()
	if err := p.cluster.Wait(t.Context(), 1); err != nil { // the destination has the documents
		t.Fatal(err)
	}
	nc.Close() // as if its machine had vanished
	select {
	case got := <-answer:
		if !strings.Contains(got, "the outcome is unknown") || !strings.Contains(got, `"retry":false`) {
			t.Errorf("answer: %s, want an unknown outcome that is not to be retried", got)
		}
	case <-time.After(8 * time.Second): // the deadline is at 10 s
		t.Error("no answer long after the worker died")
	}
	cancel()
	<-ended
}
