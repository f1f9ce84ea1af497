package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"patchbay.dev/api/store"
)

const (
	storedIndex = `{"id":"a","name":"Alerts","connector_type_id":".index",
		"config":{"index":"alerts","refresh":false,"executionTimeField":null},
		"is_missing_secrets":false,"is_preconfigured":false,"is_deprecated":false,"is_system_action":false}`
	storedServerLog = `{"id":"a","name":"Log","connector_type_id":".server-log","config":{},
		"is_missing_secrets":false,"is_preconfigured":false,"is_deprecated":false,"is_system_action":false}`
)

func TestCreateAnswersWithTheStoredConnector(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ body, want string }{
		"defaults filled in": {indexBody, storedIndex},
		"no config at all":   {serverLogBody, storedServerLog},
		"empty secrets":      {`{"name":"Log","connector_type_id":".server-log","config":{},"secrets":{}}`, storedServerLog},
		"every field": {
			`{"name":"Alerts","connector_type_id":".index","config":{"executionTimeField":"@timestamp","refresh":true,"index":"<a&b>"}}`,
			`{"id":"a","name":"Alerts","connector_type_id":".index",
			  "config":{"index":"<a&b>","refresh":true,"executionTimeField":"@timestamp"},
			  "is_missing_secrets":false,"is_preconfigured":false,"is_deprecated":false,"is_system_action":false}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			got := b.send("POST", "/api/actions/connector/a", test.body)
			b.wantAnswer(got, http.StatusOK, test.want)
			if contentType := got.header.Get("Content-Type"); contentType != "application/json; charset=utf-8" {
				t.Errorf("content type %q", contentType)
			}
			b.wantAnswer(b.send("GET", "/api/actions/connector/a", ""), http.StatusOK, test.want)
		})
	}
}

func TestCreateCarriesTextUnescaped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.send("POST", "/api/actions/connector/a", `{"name":"<Ünïcode & \"quotes\"> 🔌","connector_type_id":".server-log"}`)
	if !strings.Contains(got.body, `"name":"<Ünïcode & \"quotes\"> 🔌"`) {
		t.Errorf("body %s", got.body)
	}
}

func TestCreateWithoutIDMakesOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	ids := map[string]bool{}
	for _, path := range []string{"/api/actions/connector", "/api/actions/connector/", "/s/ops/api/actions/connector", "/s/ops/api/actions/connector/"} {
		got := b.must(b.send("POST", path, serverLogBody), http.StatusOK)
		id := b.field(got, "id")
		if !uuid.MatchString(id) || ids[id] {
			t.Errorf("POST %s: id %q, want a new UUID version 4", path, id)
		}
		ids[id] = true
	}
}

func (b *bundle) field(a answer, name string) string {
	b.Helper()
	fields, ok := decoded(b.T, a.body).(map[string]any)
	if !ok {
		b.Fatalf("not an object: %s", a.body)
	}
	return fmt.Sprint(fields[name])
}

func TestCreateRefusesAnIDThatCannotBe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, id := range []string{"-a", ".a", "_a", "a%20b", "a%2fb", "..%2f", "%00", "%C3%A4", "a:b", strings.Repeat("a", 65), strings.Repeat("a", 5000)} {
		// Also before the body is looked at.
		b.wantError(b.sendBad("POST", "/api/actions/connector/"+id, "{"), http.StatusBadRequest, "[request params.id]: "+idRule)
	}
	for _, id := range []string{"a", "7", "A-b_c.D", strings.Repeat("a", 64)} {
		b.create(id, serverLogBody)
	}
}

func TestCreateRefusesABodyThatDoesNotConform(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{preconfigured: oneServerLog})
	tests := []struct{ body, message string }{
		{``, "[request body]: expected a plain object value, but found [null] instead."},
		{`null`, "[request body]: expected a plain object value, but found [null] instead."},
		{`[]`, "[request body]: expected a plain object value, but found [Array] instead."},
		{`7`, "[request body]: expected a plain object value, but found [number] instead."},
		{`{}`, "[request body.name]: expected value of type [string] but got [undefined]"},
		{`{"name":null}`, "[request body.name]: expected value of type [string] but got [null]"},
		{`{"name":7}`, "[request body.name]: expected value of type [string] but got [number]"},
		{`{"name":["a"]}`, "[request body.name]: expected value of type [string] but got [Array]"},
		{`{"name":" \t\n"}`, "[request body.name]: value '' is not valid"},
		{`{"name":"a\u0000b"}`, "[request body.name]: value has a NUL character"},
		{`{"name":"a"}`, "[request body.connector_type_id]: expected value of type [string] but got [undefined]"},
		{`{"name":"a","connector_type_id":true}`, "[request body.connector_type_id]: expected value of type [string] but got [boolean]"},
		{`{"name":"a","connector_type_id":""}`, "[request body.connector_type_id]: value '' is not valid"},
		{`{"name":"a","connector_type_id":".index","config":null}`, "[request body.config]: expected value of type [object] but got [null]"},
		{`{"name":"a","connector_type_id":".index","config":[]}`, "[request body.config]: expected value of type [object] but got [Array]"},
		{`{"name":"a","connector_type_id":".index","config":{"index":" "}}`, "[request body.config.index]: value '' is not valid"},
		{`{"name":"a","connector_type_id":".index","secrets":null}`, "[request body.secrets]: expected value of type [object] but got [null]"},
		{`{"name":"a","connector_type_id":".index","secrets":{"user":""}}`, "[request body.secrets.user]: value '' is not valid"},
		{`{"name":"a","connector_type_id":".index","foo":1}`, "[request body.foo]: definition for this key is missing"},
		{`{"id":"a","name":"a","connector_type_id":".index"}`, "[request body.id]: definition for this key is missing"},
		// What the type says comes after the body itself.
		{`{"name":"a","connector_type_id":".nope","foo":1}`, "[request body.foo]: definition for this key is missing"},
		{`{"name":"a","connector_type_id":".nope","config":{"index":7}}`, `Action type ".nope" is not registered.`},
		{`{"name":"a","connector_type_id":"index"}`, `Action type "index" is not registered.`},
		{`{"name":"a","connector_type_id":".index"}`, "error validating action type config: [index]: expected value of type [string] but got [undefined]"},
		{`{"name":"a","connector_type_id":".index","config":{"index":7}}`, "error validating action type config: [index]: expected value of type [string] but got [number]"},
		{`{"name":"a","connector_type_id":".index","config":{"index":"i","refresh":"wait_for"}}`, "error validating action type config: [refresh]: expected value of type [boolean] but got [string]"},
		{`{"name":"a","connector_type_id":".index","config":{"index":"i","foo":1}}`, "error validating action type config: [foo]: definition for this key is missing"},
		{`{"name":"a","connector_type_id":".index","config":{"index":"i"},"secrets":{"user":"u"}}`, "error validating action type secrets: [user]: definition for this key is missing"},
		{`{"name":"a","connector_type_id":".server-log","config":{"index":"i"}}`, "error validating action type config: [index]: definition for this key is missing"},
	}
	for _, test := range tests {
		t.Run(test.body, func(t *testing.T) {
			b := b.in(t)
			b.wantError(b.sendBad("POST", "/api/actions/connector", test.body), http.StatusBadRequest, test.message)
			b.wantError(b.sendBad("POST", "/api/actions/connector/own", test.body), http.StatusBadRequest, test.message)
		})
	}
	b.wantError(b.send("GET", "/api/actions/connector/own", ""), http.StatusNotFound, "Saved object [action/own] not found")
}

func TestCreateRefusesInKibanasOrder(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{preconfigured: oneServerLog})
	b.create("taken", serverLogBody)
	tests := []struct {
		id, body string
		status   int
		message  string
	}{
		{"log", `{"foo":1}`, 400, "[request body.name]: expected value of type [string] but got [undefined]"},
		{"log", `{"name":"a","connector_type_id":".nope"}`, 400, "This log already exists in a preconfigured action."},
		{"taken", `{"name":"a","connector_type_id":".nope"}`, 400, `Action type ".nope" is not registered.`},
		{"taken", `{"name":"a","connector_type_id":".index"}`, 400, "error validating action type config: [index]: expected value of type [string] but got [undefined]"},
		{"taken", indexBody, 409, "Saved object [action/taken] conflict"},
	}
	for _, test := range tests {
		b.wantError(b.sendBad("POST", "/api/actions/connector/"+test.id, test.body), test.status, test.message)
	}
}

func TestCreateNeverReplaces(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", indexBody)
	for _, space := range []string{"", "/s/ops"} { // ids are unique across spaces
		got := b.send("POST", space+"/api/actions/connector/a", serverLogBody)
		b.wantError(got, http.StatusConflict, "Saved object [action/a] conflict")
	}
	b.wantAnswer(b.send("GET", "/api/actions/connector/a", ""), http.StatusOK, storedIndex)
}

func TestCreateOfOneIDWinsOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	statuses := make(chan int, 16)
	var wg sync.WaitGroup
	for range cap(statuses) {
		wg.Go(func() { statuses <- b.send("POST", "/api/actions/connector/a", serverLogBody).status })
	}
	wg.Wait()
	close(statuses)
	count := map[int]int{}
	for status := range statuses {
		count[status]++
	}
	if count[http.StatusOK] != 1 || count[http.StatusConflict] != cap(statuses)-1 {
		t.Errorf("statuses %v, want one 200 and the others 409", count)
	}
}

func TestCreateRefusesMoreThanASpaceMayHold(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{maxConnectors: 2})
	b.create("a", serverLogBody)
	b.create("b", serverLogBody)
	b.wantError(b.send("POST", "/api/actions/connector/c", serverLogBody), http.StatusBadRequest,
		"This space holds as many connectors as it may; delete some or raise PATCHBAY_MAX_CONNECTORS.")
	b.must(b.send("POST", "/s/ops/api/actions/connector/c", serverLogBody), http.StatusOK)
	b.must(b.send("DELETE", "/api/actions/connector/a", ""), http.StatusNoContent)
	b.create("d", serverLogBody)
}

func TestUpdateReplacesEverythingButTheType(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", `{"name":"Old","connector_type_id":".index","config":{"index":"old","refresh":true,"executionTimeField":"t"}}`)
	got := b.send("PUT", "/api/actions/connector/a", `{"name":"Alerts","config":{"index":"alerts"}}`)
	b.wantAnswer(got, http.StatusOK, storedIndex)
	b.wantAnswer(b.send("GET", "/api/actions/connector/a", ""), http.StatusOK, storedIndex)
}

func TestUpdateRefusesInKibanasOrder(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{preconfigured: oneServerLog})
	b.create("a", indexBody)
	b.store(store.Connector{ID: "gone-type", Type: ".gone", Name: "x", Config: json.RawMessage(`{}`)})
	tests := []struct {
		id, body string
		status   int
		message  string
	}{
		{"log", `{}`, 400, "[request body.name]: expected value of type [string] but got [undefined]"},
		{"log", `{"name":""}`, 400, "[request body.name]: value '' is not valid"},
		{"a", `{"name":"a\u0000"}`, 400, "[request body.name]: value has a NUL character"},
		{"a", `{"name":"x","connector_type_id":".index"}`, 400, "[request body.connector_type_id]: definition for this key is missing"},
		{"log", `{"name":"x","config":{"foo":1}}`, 400, "Preconfigured action log can not be updated."},
		{"none", `{"name":"x","config":{"foo":1}}`, 404, "Saved object [action/none] not found"},
		{"gone-type", `{"name":"x"}`, 400, `Action type ".gone" is not registered.`},
		{"a", `{"name":"x"}`, 400, "error validating action type config: [index]: expected value of type [string] but got [undefined]"},
		{"a", `{"name":"x","config":{"index":"i"},"secrets":{"a":"b"}}`, 400, "error validating action type secrets: [a]: definition for this key is missing"},
	}
	for _, test := range tests {
		b.wantError(b.sendBad("PUT", "/api/actions/connector/"+test.id, test.body), test.status, test.message)
	}
	b.wantAnswer(b.send("GET", "/api/actions/connector/a", ""), http.StatusOK, storedIndex)
}

// store puts a connector into the default space past the API's checks.
func (b *bundle) store(c store.Connector) {
	b.Helper()
	c.Space = "default"
	if _, err := b.server.store.Create(b.Context(), c); err != nil {
		b.Fatal(err)
	}
}

func TestConnectorOfAnUnknownTypeCanBeReadAndDeleted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store(store.Connector{ID: "a", Type: ".webhook", Name: "x", Config: json.RawMessage(`{}`)})
	b.must(b.send("GET", "/api/actions/connectors", ""), http.StatusOK)
	b.must(b.send("DELETE", "/api/actions/connector/a", ""), http.StatusNoContent)
}

func TestDeleteRemoves(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", indexBody)
	got := b.must(b.send("DELETE", "/api/actions/connector/a", ""), http.StatusNoContent)
	if got.body != "" {
		t.Errorf("body %q, want none", got.body)
	}
	const message = "Saved object [action/a] not found"
	b.wantError(b.send("GET", "/api/actions/connector/a", ""), http.StatusNotFound, message)
	b.wantError(b.send("PUT", "/api/actions/connector/a", `{"name":"x"}`), http.StatusNotFound, message)
	b.wantError(b.send("DELETE", "/api/actions/connector/a", ""), http.StatusNotFound, message)
	b.wantAnswer(b.send("GET", "/api/actions/connectors", ""), http.StatusOK, `[]`)
	b.create("a", serverLogBody) // the id is free again
}

func TestStoreFailureIsHidden(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", indexBody)
	if err := b.server.store.Close(); err != nil {
		t.Fatal(err)
	}
	const message = "An internal server error occurred. Check the server's log for details."
	b.wantError(b.send("POST", "/api/actions/connector", serverLogBody), http.StatusInternalServerError, message)
	b.wantError(b.send("GET", "/api/actions/connector/b", ""), http.StatusInternalServerError, message)
	b.wantError(b.send("GET", "/api/actions/connectors", ""), http.StatusInternalServerError, message)
	b.wantError(b.send("PUT", "/api/actions/connector/b", `{"name":"x"}`), http.StatusInternalServerError, message)
	b.wantError(b.send("DELETE", "/api/actions/connector/b", ""), http.StatusInternalServerError, message)
}

func TestAnsweredWriteOutlivesAClientThatLeaves(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.server.store.Create(ctx, store.Connector{ID: "a", Space: "default", Type: ".server-log", Name: "Log", Config: json.RawMessage(`{}`)}); err != nil {
		t.Fatal(err)
	}
	b.wantAnswer(b.send("GET", "/api/actions/connector/a", ""), http.StatusOK, storedServerLog)
}
