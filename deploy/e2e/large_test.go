//go:build !race

// Under the race detector 100 MB take so long to get through that the worker
// seems to have died.

package e2e_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"patchbay.dev/worker/index/elastictest"
)

// Many large executions at once are more than the broker's and the client's
// default limits for what waits on one connection: all of them arrive.
func TestManyLargeExecutionsAtOnce(t *testing.T) {
	t.Parallel()
	standIn := elastictest.StartWith(elastictest.Options{Discard: true})
	t.Cleanup(standIn.Close)
	url := start(t, filepath.Join(t.TempDir(), "data"), "-elasticsearch-url="+standIn.URL())
	status, body, err := postJSON(url+"/api/actions/connector/i", `{"name":"n","connector_type_id":".index","config":{"index":"i"}}`)
	if err != nil || status != http.StatusOK {
		t.Fatal(status, body, err)
	}
	document := `{"params":{"documents":[{"text":"` + strings.Repeat("x", 4<<20) + `"}]}}`
	var callers sync.WaitGroup
	for range 24 {
		callers.Go(func() {
			status, body, err := postJSON(url+"/api/actions/connector/i/_execute", document)
			if err != nil || !strings.Contains(body, `"status":"ok"`) {
				t.Errorf("execute: %d %.300s %v", status, body, err)
			}
		})
	}
	callers.Wait()
}
