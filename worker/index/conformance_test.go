package index_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/index"
	"patchbay.dev/worker/index/elastictest"
	"patchbay.dev/worker/outbound"
	"patchbay.dev/worker/pool"
	"patchbay.dev/worker/pool/pooltest"
)

func TestConformance(t *testing.T) { //nolint:paralleltest // the suite counts goroutines
	for name, batching := range map[string]index.Batching{
		"without batches": {},
		"with batches":    {On: true, InFlight: 2, Bytes: 8 << 20, Documents: 5000, Queue: 64 << 20},
	} {
		t.Run(name, func(t *testing.T) { conforms(t, batching) })
	}
}

func conforms(t *testing.T, batching index.Batching) {
	t.Helper()
	const user, password = "patchbay", "pass/word é"
	cluster := elastictest.StartWith(elastictest.Options{Username: user, Password: password})
	t.Cleanup(cluster.Close)
	// A proxy that repeats the credentials in every refusal of one index.
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/echo/_bulk" {
			cluster.ServeHTTP(w, r)
			return
		}
		name, word, _ := r.BasicAuth()
		http.Error(w, "refused "+name+":"+word+" who sent "+r.Header.Get("Authorization"), http.StatusForbidden)
	}))
	t.Cleanup(proxy.Close)

	request := func(index string) wire.Request {
		return wire.Request{
			Connector: wire.Connector{Type: ".index", Config: json.RawMessage(`{"index":"` + index + `"}`)},
			Params:    json.RawMessage(`{"documents":[{"n":1}]}`),
		}
	}
	hanging, flooding := request("silent"), request("large")
	e := pooltest.Executor{
		New: func(t *testing.T, _ *slog.Logger) (pool.Handler, func()) {
			executor, err := index.New(outbound.New(outbound.Policy{}), index.Config{URL: proxy.URL, Username: user, Password: password, Batching: batching}, 64<<10)
			if err != nil {
				t.Fatal(err)
			}
			return pool.Handle(connector.Index, executor.Execute), func() {
				executor.Close()
				proxy.CloseClientConnections()
			}
		},
		Good: request("good"), Hanging: &hanging, Flooding: &flooding,
		// The password, and what Basic makes of it and the user.
		Secrets: []string{password, "cGF0Y2hiYXk6cGFzcy93b3JkIMOp"},
	}
	for _, name := range []string{
		"echo", "status-401", "status-403", "status-413", "status-429", "status-500", "status-502", "status-503",
		"status-504", "no-reason", "errors-no-items", "wrong-count", "cut", "reset", "large-late", "html", "Refused",
		"status-429-in-5", "good", // the last two: from here on nothing is sent
	} {
		e.Failing = append(e.Failing, request(name))
	}
	pooltest.Run(t, e)
}
