package e2e_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchbay.dev/worker/index/elastictest"
)

// A worker with one slot is held by a cluster that never answers. When the
// caller leaves, the slot is free again, long before the deadline of a minute.
func TestCallerWhoLeavesGivesTheSlotBack(t *testing.T) {
	t.Parallel()
	standIn := elastictest.Start()
	t.Cleanup(standIn.Close)
	url := start(t, filepath.Join(t.TempDir(), "data"), "-worker-slots=1", "-elasticsearch-url="+standIn.URL())
	for _, index := range []string{"silent", "good"} {
		status, body, err := postJSON(url+"/api/actions/connector/"+index,
			`{"name":"n","connector_type_id":".index","config":{"index":"`+index+`"}}`)
		if err != nil || status != http.StatusOK {
			t.Fatal(status, body, err)
		}
	}
	const documents = `{"params":{"documents":[{"n":1}]}}`
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/actions/connector/silent/_execute", strings.NewReader(documents))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	left := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(request)
		left <- err
	}()
	patience, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := standIn.Wait(patience, 1); err != nil {
		t.Fatalf("the cluster got nothing: %v", err)
	}

	answered := make(chan string, 1)
	go func() {
		_, body, err := postJSON(url+"/api/actions/connector/good/_execute", documents)
		if err != nil {
			body = err.Error()
		}
		answered <- body
	}()
	leave()
	if err := <-left; err == nil {
		t.Error("the caller who left got an answer")
	}
	select {
	case body := <-answered: // it found the worker busy at first, and was sent again
		if !strings.Contains(body, `"status":"ok"`) {
			t.Errorf("the next execution: %s, want success", body)
		}
	case <-patience.Done():
		t.Error("the slot is still held")
	}
}
