package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"patchbay.dev/api/dispatch"
	"patchbay.dev/api/store"
	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/wire"
)

// handler is a server whose workers answer every execution at once.
type handler struct{ http.Handler }

func fuzzed(f *testing.F) handler {
	f.Helper()
	broker := startBroker(f, 0)
	workers := connect(f, broker)
	for _, d := range connector.All {
		subject, err := wire.Subject(d.Describe().ID)
		if err != nil {
			f.Fatal(err)
		}
		if _, err := workers.Subscribe(subject, func(msg *nats.Msg) { _ = msg.Respond([]byte(`{"data":{"a":1}}`)) }); err != nil {
			f.Fatal(err)
		}
	}
	if err := workers.Flush(); err != nil {
		f.Fatal(err)
	}
	s := &server{
		config: Config{MaxBody: 64 << 10, MaxConnectors: 100, ReadTimeout: 10 * time.Second, ExecuteTimeout: 10 * time.Second},
		log:    slog.New(slog.DiscardHandler),
		nc:     connect(f, broker),
		keeper: testKeeper,
	}
	var err error
	if s.admission, err = newAdmission(&s.config); err != nil {
		f.Fatal(err)
	}
	if s.preconfigured, err = testKeeper.parsePreconfigured([]byte(oneServerLog)); err != nil {
		f.Fatal(err)
	}
	if s.store, err = store.Open(context.Background(), f.TempDir(), store.Options{MaxConnectors: 100}); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.store.Close() })
	s.config.DataDir = f.TempDir()
	if err := s.openLedger(context.Background()); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.closeLedger() })
	s.guard = &guard{store: s.store, log: s.log, off: true}
	if s.dispatch, err = dispatch.New(s.nc); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.dispatch.Close() })
	return handler{s.routes()}
}

// recorder has deadlines to set, and both directions, as a connection has.
type recorder struct{ *httptest.ResponseRecorder }

func (recorder) SetReadDeadline(time.Time) error  { return nil }
func (recorder) SetWriteDeadline(time.Time) error { return nil }
func (recorder) EnableFullDuplex() error          { return nil }

// serve answers a request and holds what every answer promises: no failure of
// ours, JSON, and Kibana's envelope where it says no.
func (h handler) serve(t *testing.T, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	w := httptest.NewRecorder()
	h.ServeHTTP(recorder{w}, r.WithContext(ctx))
	body := w.Body.Bytes()
	what := r.Method + " " + r.URL.String()
	if w.Code >= 500 {
		t.Fatalf("%s: status %d: %s", what, w.Code, body)
	}
	if w.Code == http.StatusNoContent {
		if len(body) > 0 {
			t.Errorf("%s: 204 with %q", what, body)
		}
		return w
	}
	if strings.HasSuffix(r.URL.Path, "/openapi.yaml") && w.Code == http.StatusOK {
		return w
	}
	lines := [][]byte{body}
	if w.Header().Get("Content-Type") == linesType[0] {
		lines = slices.DeleteFunc(bytes.SplitAfter(body, []byte("\n")), func(line []byte) bool { return len(line) == 0 })
	}
	for _, line := range lines {
		if !json.Valid(line) || !utf8.Valid(line) {
			t.Errorf("%s: the answer is no JSON: %q", what, line)
		}
	}
	var envelope errorBody
	if err := json.Unmarshal(body, &envelope); w.Code >= 400 && (err != nil || envelope.StatusCode != w.Code || envelope.Message == "") {
		t.Errorf("%s: status %d with %s", what, w.Code, body)
	}
	return w
}

func (h handler) send(t *testing.T, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return h.serve(t, r)
}

// FuzzRequest sends any bytes that are an HTTP request.
func FuzzRequest(f *testing.F) {
	post := func(path, body string, headers ...string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + strings.Join(append(headers, ""), "\r\n") +
			fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	}
	for _, raw := range []string{
		post("/api/actions/connector", indexBody, "kbn-xsrf: x"), post("/s/ops/api/actions/connector/a.b-c", serverLogBody),
		post("/api/actions/connector/log/_execute", executeLog, "Patchbay-Execution-Id: e-1", "traceparent: 00-1-2-03", "tracestate: a=b"),
		post("/api/actions/action/log/_execute", `{"params":{"message":1}}`, "Patchbay-Execution-Id: é"), post("/s/%2e%2e/api/actions/action", `{}`),
		post("/api/actions/connector", "\xff", "Origin: http://evil.test"), post("/api/actions/connector/%00", `{"name":"\u0000"}`), post("//api//actions", `{}`),
		"PUT /api/actions/connector/log HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{", "DELETE /s/a%2fb/api/actions/connector/c HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /api/actions/connectors?x=%zz HTTP/1.1\r\nHost: [::1\r\n\r\n", "GET /s/default/api/status HTTP/1.0\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://[::1]:80/api/actions HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: cross-site\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
		post("/api/actions/connector/log/_execute", executeLog, "Prefer: respond-async, wait=0", "Idempotency-Key: k"), post("/api/actions/connector/log/_execute", executeLog, "Idempotency-Key: \"l\""),
		post("/api/actions/_bulk_execute", "{\"id\":\"log\",\"params\":{\"message\":\"m\"},\"key\":\"k\"}\n\n{\"id\":7}\nx"), post("/s/ops/api/actions/executions/_replay", `{"rate":1e9,"from":"2026-01-02T03:04:05Z"}`),
		"GET /api/actions/executions?status=dead&status=done&per_page=1&page=x&text=%25 HTTP/1.1\r\nHost: x\r\n\r\n", "DELETE /api/actions/executions/x HTTP/1.1\r\nHost: x\r\n\r\n",
		post("/internal/actions/_global_connector_execution_logs", `{"date_start":"2026-01-02T03:04:05Z","filter":"event.outcome: (success or failure) and message: \"a\"","sort":[{"timestamp":{"order":"asc"}}]}`),
		"GET /internal/actions/_global_connector_execution_kpi?date_start=2026-01-02T03:04:05Z&namespaces=[%22a%22] HTTP/1.1\r\nHost: x\r\n\r\n",
		post("/api/actions/connector", `{}`, "Content-Encoding: gzip"), post("/api/actions/connector", `{}`, "Content-Type: text/plain; charset=\""),
	} {
		f.Add([]byte(raw))
	}
	h := fuzzed(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w := h.serve(t, r)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > uint64(4<<20+300*len(raw)) {
			t.Errorf("%d bytes took %d bytes of memory", len(raw), n)
		}
		var made struct{ ID string }
		if r.Method != http.MethodPost || w.Code != http.StatusOK ||
			strings.HasSuffix(r.URL.Path, "_execute") || strings.Contains(r.URL.Path, "/executions") || strings.Contains(r.URL.Path, "/internal/") {
			return
		}
		if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil {
			t.Fatal(err)
		}
		path := r.URL.EscapedPath()
		connectors := path[:strings.LastIndex(path, "/api/actions")] + "/api/actions/connector/" + url.PathEscape(made.ID)
		if got := h.send(t, http.MethodGet, connectors, ""); got.Code != http.StatusOK {
			t.Errorf("%s made %s, and then %s is %d", path, made.ID, connectors, got.Code)
		}
		h.send(t, http.MethodDelete, connectors, "")
	})
}

// FuzzBody finds that a body makes a connector that can be read and updated by
// what was answered, or is refused as the client's mistake.
func FuzzBody(f *testing.F) {
	for _, body := range []string{
		indexBody, serverLogBody, `{"name":"J","connector_type_id":".jira","config":{"apiUrl":"https://h","projectKey":"K"},"secrets":{"email":"e","apiToken":"t"}}`,
		`{"name":"\ud800<&>\u2028","connector_type_id":".index","config":"{\"index\":\"a\",\"refresh\":\"true\"}"}`, `{"name":" ","actionTypeId":".index","config":{"index":""}}`,
		`{"name":"n","name":"m","connector_type_id":".server-log","config":null,"secrets":[]}`, `null`, ` `, `{"name":"` + strings.Repeat("a", 70_000) + `"}`,
		`{"name":"n","actionTypeId":".server-log"}`, strings.Repeat(`{"config":`, 100), "{\"name\":\"\xff\",\"connector_type_id\":\".server-log\"}", serverLogBody + "}", `{"params":{"message":"m","level":"fatal"}}`,
	} {
		f.Add(false, "application/json", []byte(body))
		f.Add(true, "application/vnd.api+json; charset=utf-8", []byte(body))
	}
	h := fuzzed(f)
	f.Fuzz(func(t *testing.T, legacy bool, contentType string, body []byte) {
		const connectors = "/api/actions/connector/"
		path := connectors + "a"
		if legacy {
			path = "/api/actions/action"
		}
		r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		created := h.serve(t, r)
		switch created.Code {
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
			return
		case http.StatusOK:
		default:
			t.Fatalf("status %d: %s", created.Code, created.Body)
		}
		if !json.Valid(body) || !utf8.Valid(body) {
			t.Errorf("%q is taken", body)
		}
		var made struct {
			ID     string          `json:"id"`
			Name   string          `json:"name"`
			Config json.RawMessage `json:"config"`
		}
		if err := json.Unmarshal(created.Body.Bytes(), &made); err != nil {
			t.Fatal(err)
		}
		got := h.send(t, http.MethodGet, connectors+made.ID, "")
		if !legacy && got.Body.String() != created.Body.String() {
			t.Errorf("created %s, then got %s", created.Body, got.Body)
		}
		// Secrets are never answered, so that one with any is not written back.
		if update, _ := json.Marshal(map[string]any{"name": made.Name, "config": made.Config}); !bytes.Contains(got.Body.Bytes(), []byte(`".jira"`)) && !blank(made.Name, made.Config) {
			if updated := h.send(t, http.MethodPut, connectors+made.ID, string(update)); updated.Code != http.StatusOK || updated.Body.String() != got.Body.String() {
				t.Errorf("update with %s: %d %s, want %s", update, updated.Code, updated.Body, got.Body)
			}
		}
		if deleted := h.send(t, http.MethodDelete, connectors+made.ID, ""); deleted.Code != http.StatusNoContent {
			t.Errorf("delete: %d %s", deleted.Code, deleted.Body)
		}
	})
}

// blank tells whether the modern dialect refuses what the legacy one takes.
func blank(name string, config json.RawMessage) bool {
	if strings.TrimSpace(name) == "" {
		return true
	}
	var members map[string]any
	_ = json.Unmarshal(config, &members)
	for _, value := range members {
		if text, ok := value.(string); ok && strings.TrimSpace(text) == "" {
			return true
		}
	}
	return false
}

// FuzzPreconfigured finds that a file is refused or yields connectors that a
// client could have made, with secrets that the workers can open.
func FuzzPreconfigured(f *testing.F) {
	for _, text := range []string{
		oneServerLog, "", "# nothing", "preconfigured: {}", "preconfigured: []", "a: &a [*a]", "a: b\na: c", "preconfigured:\n\ta: b", "\xff", "--- {}\n--- {}", "? {a: b}\n: c",
		"preconfigured:\n  j:\n    name: J\n    actionTypeId: .jira\n    exposeConfig: yes\n    config: {apiUrl: 'https://h', projectKey: K}\n    secrets: {email: e, apiToken: '${JIRA_TOKEN}'}\n",
		"preconfigured: {i: {name: 1, actionTypeId: .index, config: {index: 2026-01-02, refresh: on}}}",
		"x: &x {a: [1,2,3]}\ny: &y [*x,*x,*x,*x]\npreconfigured: {a: *y}", "preconfigured: !!binary aGk=", "preconfigured: {a: !!float .nan}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := testKeeper.parsePreconfigured(text)
		if err != nil {
			if err.Error() == "" || strings.Contains(err.Error(), "t0ken-of-the-env") {
				t.Errorf("error %q", err)
			}
			return
		}
		for id, p := range all {
			definition, err := connector.Find(p.Type)
			if err != nil || p.ID != id || !connectorID.MatchString(id) || p.Name == "" {
				t.Fatalf("%q is %+v, %v", id, p, err)
			}
			secrets := []byte(nil)
			if len(p.Secrets()) > 0 {
				binding := seal.Binding{Space: seal.EverySpace, ConnectorID: id, Type: p.Type, Config: p.Config}
				if secrets, err = testRing.Open(p.Secrets(), binding); err != nil {
					t.Fatalf("Open: %v", err)
				}
			}
			if config, _, err := definition.Normalize(p.Config, secrets, connector.AllHosts()); err != nil || !bytes.Equal(config, p.Config) {
				t.Errorf("%q has the config %s, which is kept as %s, %v", id, p.Config, config, err)
			}
		}
	})
}
