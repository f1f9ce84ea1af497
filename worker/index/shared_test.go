package index_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker"
	"patchbay.dev/worker/index"
	"patchbay.dev/worker/index/elastictest"
	"patchbay.dev/worker/pool/pooltest"
)

// The whole way: what one worker is asked for by the cluster, both keep.
func TestPauseIsSharedByWorkers(t *testing.T) {
	t.Parallel()
	cluster := elastictest.Start()
	t.Cleanup(cluster.Close)
	throttled := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/status-429/") {
			w.Header().Set("Retry-After", "30")
		}
		cluster.ServeHTTP(w, r)
	}))
	t.Cleanup(throttled.Close)
	broker := pooltest.Broker(t)
	for range 2 {
		startWorker(t, pooltest.Connect(t, broker), throttled.URL)
	}
	nc := pooltest.Connect(t, broker)
	told, err := nc.SubscribeSync("patchbay.v1.pause.index")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(index string) string {
		t.Helper()
		body, err := wire.Encode(wire.Request{TimeLeft: wire.Millis(20 * time.Second), Params: json.RawMessage(`{"documents":[{}]}`),
			Connector: wire.Connector{ID: "i", Type: ".index", Config: json.RawMessage(`{"index":"` + index + `"}`)}})
		if err != nil {
			t.Fatal(err)
		}
		msg, err := nc.Request("patchbay.v1.execute.index", body, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return string(msg.Data)
	}
	if got := ask("status-429"); !strings.Contains(got, "es_rejected_execution_exception") {
		t.Errorf("the first execution: %s", got)
	}
	msg, err := told.NextMsg(10 * time.Second)
	host := strings.TrimPrefix(throttled.URL, "http://")
	if want := `{"host":"` + host + `","seconds":30}`; err != nil || string(msg.Data) != want {
		t.Fatalf("told: %v, %v, want %s", msg, err, want)
	}
	// The other one hears it in its own time; members of the group take turns at random.
	deadline := time.Now().Add(10 * time.Second)
	for inRow := 0; inRow < 30; inRow++ {
		before := cluster.Requests()
		if got := ask("any"); !strings.Contains(got, host+" asked for no requests until ") || !strings.Contains(got, `"retry":"20`) {
			inRow = 0
		} else if cluster.Requests() != before {
			t.Fatal("it was sent all the same")
		}
		if time.Now().After(deadline) {
			t.Fatal("one worker does not keep the pause")
		}
	}
}

// startWorker runs a worker of the type until the test ends.
func startWorker(t *testing.T, nc *nats.Conn, cluster string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	config := worker.Config{
		Slots: 8, Types: []string{".index"}, MaxResponse: 1 << 20,
		Index:           index.Config{URL: cluster, Batching: index.Batching{On: true, InFlight: 4, Bytes: 1 << 20, Documents: 100, Queue: 1 << 20}},
		ShutdownTimeout: 10 * time.Second, Ready: func() { close(ready) },
	}
	go func() { ended <- worker.Run(ctx, config, nc, slog.New(slog.NewTextHandler(t.Output(), nil))) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	<-ready
}
