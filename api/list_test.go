package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/api/store"
)

func TestListIsEmptyAtFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.wantAnswer(b.send("GET", "/api/actions/connectors", ""), http.StatusOK, `[]`)
}

func TestListAnswersWithEveryConnectorOfTheSpace(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{preconfigured: oneServerLog})
	b.create("a", indexBody)
	b.must(b.send("POST", "/s/ops/api/actions/connector/b", serverLogBody), http.StatusOK)
	b.wantAnswer(b.send("GET", "/api/actions/connectors", ""), http.StatusOK, `[
		{"id":"a","name":"Alerts","connector_type_id":".index",
		 "config":{"index":"alerts","refresh":false,"executionTimeField":null},"is_missing_secrets":false,
		 "is_preconfigured":false,"is_deprecated":false,"is_system_action":false,"referenced_by_count":0},
		{"id":"log","name":"Preconfigured log","connector_type_id":".server-log",
		 "is_preconfigured":true,"is_deprecated":false,"is_system_action":false,"referenced_by_count":0}]`)
}

// The order is the one of a list that Kibana's own functional tests expect.
func TestListIsSortedAsPeopleSort(t *testing.T) {
	t.Parallel()
	b := setup(t)
	want := []string{
		"another one", "Äpfel", "preconfigured_es_index_action", "ServiceNow#xyz", "Slack#xyz", "SystemABC",
		"Test:_Preconfigured_Index", "TestEmail#xyz", "zebra", "Zebra",
	}
	shuffled := []int{7, 3, 9, 0, 5, 8, 2, 6, 1, 4}
	for _, i := range shuffled {
		b.must(b.send("POST", "/api/actions/connector", fmt.Sprintf(`{"name":%q,"connector_type_id":".server-log"}`, want[i])), http.StatusOK)
	}
	if diff := cmp.Diff(want, b.listed("name")); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func (b *bundle) listed(field string) []string {
	b.Helper()
	var all []map[string]any
	got := b.must(b.send("GET", "/api/actions/connectors", ""), http.StatusOK)
	if err := json.Unmarshal([]byte(got.body), &all); err != nil {
		b.Fatal(err)
	}
	values := make([]string, len(all))
	for i, each := range all {
		values[i] = fmt.Sprint(each[field])
	}
	return values
}

func TestListKeepsTheOrderOfEqualNames(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{preconfigured: `
preconfigured:
  p2: {name: Same, actionTypeId: .server-log}
  p1: {name: Same, actionTypeId: .server-log}
`})
	stored := []string{"s1", "s2", "s3"} // of one millisecond, most likely: then by id
	for _, id := range stored {
		b.store(store.Connector{ID: id, Type: ".server-log", Name: "Same", Config: json.RawMessage(`{}`)})
	}
	want := append(stored, "p1", "p2")
	for range 3 {
		if got := b.listed("id"); !slices.Equal(got, want) {
			t.Errorf("ids %q, want %q", got, want)
		}
	}
}
