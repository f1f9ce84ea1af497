package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryDocumentGetsAnItemWithItsIndex(t *testing.T) {
	t.Parallel()
	var s stub
	routes := http.NewServeMux()
	routes.HandleFunc("POST /_bulk", s.counted(bulk))
	routes.HandleFunc("POST /{index}/_bulk", s.counted(bulk))
	server := httptest.NewServer(routes)
	t.Cleanup(server.Close)
	const own, other = `{"index":{"op_type":"create"}}` + "\n{}\n", `{"create":{"_index":"b"}}` + "\n" + `{"_index":"c"}` + "\n"
	for path, want := range map[string][]string{"/a/_bulk": {"a", "b", "a"}, "/_bulk": {"", "b", ""}} {
		response, err := http.Post(server.URL+path+"?refresh=false", "application/x-ndjson", strings.NewReader(own+other+own))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		var answer struct {
			Errors *bool
			Items  []struct {
				Create struct {
					Index  string `json:"_index"`
					Status int
				}
			}
		}
		if err != nil || json.Unmarshal(body, &answer) != nil || answer.Errors == nil || *answer.Errors {
			t.Fatalf("%s: %s, %v", path, body, err)
		}
		var got []string
		for _, item := range answer.Items {
			got = append(got, item.Create.Index)
			if item.Create.Status != http.StatusCreated {
				t.Errorf("%s: status %d", path, item.Create.Status)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: indices (-want +got):\n%s", path, diff)
		}
		if product := response.Header.Get("X-Elastic-Product"); product != "Elasticsearch" {
			t.Errorf("X-Elastic-Product: %q", product)
		}
	}
	if requests, running := s.requests.Load(), s.running.Load(); requests != 2 || running != 0 {
		t.Errorf("stats: %d %d, want 2 0", requests, running)
	}
}
