package api

import (
	"net/http"
	"testing"
)

func TestStatusTellsTheVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{"/api/status", "/s/ops/api/status"} {
		b.wantAnswer(b.send("GET", path, ""), http.StatusOK, `{"name":"patchbay",
			"version":{"number":"8.19.7","build_flavor":"traditional","build_snapshot":false},
			"status":{"overall":{"level":"available","summary":"All services and plugins are available"}}}`)
	}
}

func TestHealthyAndReady(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.wantAnswer(b.send("GET", "/healthz", ""), http.StatusOK, `{"status":"ok"}`)
	b.wantAnswer(b.send("GET", "/readyz", ""), http.StatusOK, `{"status":"ok"}`)
}

func TestNotReadyWithoutBroker(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.stopBroker()
	b.wantAnswer(b.send("GET", "/readyz", ""), http.StatusServiceUnavailable,
		`{"status":"unavailable","problems":{"broker":"not connected to NATS"}}`)
	b.wantAnswer(b.send("GET", "/healthz", ""), http.StatusOK, `{"status":"ok"}`)
	b.wantAnswer(b.send("GET", "/api/status", ""), http.StatusOK, `{"name":"patchbay",
		"version":{"number":"8.19.7","build_flavor":"traditional","build_snapshot":false},
		"status":{"overall":{"level":"degraded","summary":"Not ready, see /readyz"}}}`)
	// Connectors are kept without a broker.
	b.create("a", indexBody)
}

func TestNotReadyWithoutStore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.server.store.Close(); err != nil {
		t.Fatal(err)
	}
	b.wantAnswer(b.send("GET", "/readyz", ""), http.StatusServiceUnavailable,
		`{"status":"unavailable","problems":{"store":"the database cannot be read; the log has the details"}}`)
	b.wantAnswer(b.send("GET", "/healthz", ""), http.StatusOK, `{"status":"ok"}`)
}
