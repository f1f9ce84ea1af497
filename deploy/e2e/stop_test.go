package e2e_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"patchbay.dev/worker/index/elastictest"
)

// The parts stop in the order in which an execution under way is still answered.
func TestStopLetsAnExecutionFinish(t *testing.T) {
	t.Parallel()
	standIn := elastictest.Start()
	t.Cleanup(standIn.Close)
	base, end := begin(t, t.TempDir(), "-elasticsearch-url="+standIn.URL())
	url := base + "/api/actions/connector/i"
	if status, body, err := postJSON(url, `{"name":"n","connector_type_id":".index","config":{"index":"i"}}`); err != nil || status != http.StatusOK {
		t.Fatal(status, body, err)
	}
	release := standIn.Hold()
	answered := make(chan string, 1)
	go func() {
		_, body, err := postJSON(url+"/_execute", `{"params":{"documents":[{"n":1}]}}`)
		if err != nil {
			body = err.Error()
		}
		answered <- body
	}()
	patience, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := standIn.Wait(patience, 1); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- end() }()
	for { // until it takes no more requests
		conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			break
		}
		conn.Close()
	}
	release()
	if body := <-answered; !strings.Contains(body, `"status":"ok"`) {
		t.Errorf("the execution under way: %s, want success", body)
	}
	if err := <-ended; err != nil {
		t.Errorf("stop: %v", err)
	}
}
