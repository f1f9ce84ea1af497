package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"patchbay.dev/worker/jira/jiratest"
)

// A Jira that never answers, and many who ask for it, hold their share of a small
// worker. All who ask for something else are answered meanwhile.
func TestHangingDestinationDoesNotStarveTheRest(t *testing.T) {
	t.Parallel()
	const slots, share = 8, 5
	hanging := jiratest.Start()
	t.Cleanup(hanging.Close)
	url := start(t, filepath.Join(t.TempDir(), "data"), fmt.Sprint("-worker-slots=", slots), "-allowed-cidrs=127.0.0.0/8")
	for id, connector := range map[string]string{
		"hanging": `{"name":"n","connector_type_id":".jira","config":{"apiUrl":"` + hanging.URL() + `","projectKey":"CK"},
			"secrets":{"email":"patchbay@example.com","apiToken":"jira-token-1234"}}`,
		"healthy": `{"name":"n","connector_type_id":".server-log"}`,
	} {
		if status, body, err := postJSON(url+"/api/actions/connector/"+id, connector); err != nil || status != http.StatusOK {
			t.Fatal(status, body, err)
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range 100 {
		callers.Go(func() {
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/actions/connector/hanging/_execute",
				strings.NewReader(`{"params":{"subAction":"issue","subActionParams":{"id":"fault-silent"}}}`))
			if err != nil {
				t.Error(err)
				return
			}
			request.Header.Set("Content-Type", "application/json")
			if response, err := http.DefaultClient.Do(request); err == nil {
				response.Body.Close()
				t.Errorf("status %d from a destination that hangs", response.StatusCode)
			}
		})
	}
	arrived, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := hanging.Wait(arrived, share); err != nil {
		t.Fatalf("%d executions did not reach the destination: %v", share, err)
	}
	for range 300 {
		status, body, err := postJSON(url+"/api/actions/connector/healthy/_execute", `{"params":{"message":"m"}}`)
		if err != nil || status != http.StatusOK || !strings.Contains(body, `"status":"ok"`) {
			t.Fatalf("a healthy one: %d %s %v", status, body, err)
		}
	}
	if got := len(hanging.Requests()); got != share {
		t.Errorf("%d executions hang, want %d of %d slots", got, share, slots)
	}
	leave()
	callers.Wait()
}
