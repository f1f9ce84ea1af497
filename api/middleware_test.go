package api

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"
)

func TestUnknownRouteIsNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{
		"/", "/api", "/api/actions/", "/api/actions/connectors/", "/api/actions/nope", "/s/ops/healthz", "/s/ops",
		"/api/actions/connector/a/b", "/api/actions/connector/a/_execute/", "/API/actions/connectors",
	} {
		b.wantError(b.sendBad("GET", path, ""), http.StatusNotFound, "Not Found")
	}
}

func TestInnardsAreNotServed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{
		"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/profile", "/debug/vars", "/debug/requests", "/debug/events", "/metrics", "/debug",
	} {
		for _, root := range []string{"", "/api", "/s/ops"} {
			b.wantError(b.sendBad("GET", root+path, ""), http.StatusNotFound, "Not Found")
		}
	}
}

func TestClientCannotChooseItsAddress(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{routes: func(e *echo.Echo) {
		e.GET("/address", func(c echo.Context) error { return c.String(http.StatusOK, c.RealIP()) })
	}})
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip"} {
		if got := b.sendBad("GET", "/address", "", header(name, "10.1.2.3")).body; got != "127.0.0.1" {
			t.Errorf("address with %s: %s, want 127.0.0.1", name, got)
		}
	}
}

func TestOtherMethodIsRefusedWithThoseAllowed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, test := range []struct{ method, path, allow string }{
		{"PATCH", "/api/actions/connector/a", "DELETE, GET, POST, PUT"},
		{"GET", "/api/actions/connector", "POST"},
		{"POST", "/api/actions/connectors", "GET"},
		{"GET", "/api/actions/connector/a/_execute", "POST"},
		{"DELETE", "/s/ops/api/actions", "GET"},
		{"POST", "/healthz", "GET"},
	} {
		got := b.sendBad(test.method, test.path, "")
		b.wantError(got, http.StatusMethodNotAllowed, "Method Not Allowed")
		for allowed := range strings.SplitSeq(test.allow, ", ") {
			if !strings.Contains(got.header.Get("Allow"), allowed) {
				t.Errorf("%s %s: Allow %q, want %s", test.method, test.path, got.header.Get("Allow"), test.allow)
			}
		}
		if strings.Contains(got.header.Get("Allow"), test.method) {
			t.Errorf("%s %s: Allow %q names the refused method", test.method, test.path, got.header.Get("Allow"))
		}
	}
}

func TestOddIDsInThePathAreJustNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for raw, id := range map[string]string{
		"..%2f":                   "../",
		"..%2fconnectors":         "../connectors",
		"%2e%2e":                  "..",
		"%00":                     "\x00",
		"a%00b":                   "a\x00b",
		"%ff":                     "\ufffd", // not UTF-8
		"%25zz":                   "%zz",
		"a%3Fb%23c":               "a?b#c",
		"%27%20OR%201=1--":        "' OR 1=1--",
		"%F0%9F%94%8C":            "🔌",
		"_execute":                "_execute",
		strings.Repeat("x", 5000): strings.Repeat("x", 5000),
	} {
		message := "Saved object [action/" + id + "] not found"
		for _, root := range []string{"/api/actions/connector/", "/s/ops/api/actions/connector/", "/api/actions/action/"} {
			b.wantError(b.send("GET", root+raw, ""), http.StatusNotFound, message)
			b.wantError(b.send("PUT", root+raw, `{"name":"x"}`), http.StatusNotFound, message)
			b.wantError(b.send("DELETE", root+raw, ""), http.StatusNotFound, message)
			b.wantError(b.send("POST", root+raw+"/_execute", `{"params":{"message":""}}`), http.StatusNotFound, message)
		}
	}
}

func TestWritesOfOtherWebSitesAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	for name, fromElsewhere := range map[string]func(*http.Request){
		"cross-site":   header("Sec-Fetch-Site", "cross-site"),
		"same-site":    header("Sec-Fetch-Site", "same-site"),
		"other origin": header("Origin", "https://evil.example"),
		"null origin":  header("Origin", "null"),
	} {
		for _, route := range append(bodies, struct{ method, path, body string }{"DELETE", "/api/actions/connector/a", ""}) {
			got := b.send(route.method, route.path, route.body, fromElsewhere)
			b.must(got, http.StatusForbidden)
			if message := b.field(got, "message"); !strings.HasPrefix(message, "Requests from other web sites are refused: ") {
				t.Errorf("%s: message %q", name, message)
			}
		}
		b.must(b.send("GET", "/api/actions/connector/a", "", fromElsewhere), http.StatusOK) // a page cannot read it
	}
}

func TestWritesNeedNoCrossSiteToken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, own := range map[string]func(*http.Request){
		"curl":        func(*http.Request) {},
		"kbn-xsrf":    header("kbn-xsrf", "true"),
		"same origin": header("Sec-Fetch-Site", "same-origin"),
		"typed in":    header("Sec-Fetch-Site", "none"),
		"own origin":  func(r *http.Request) { r.Header.Set("Origin", "http://"+r.URL.Host) },
	} {
		if got := b.send("POST", "/api/actions/connector", serverLogBody, own); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

func TestEveryAnswerNamesTheServer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{"/healthz", "/api/status", "/api/actions/connectors", "/api/actions/connector/a", "/nope"} {
		got := b.sendBad("GET", path, "")
		if got.header.Get("Kbn-Name") != "patchbay" || got.header.Get("Elastic-Api-Version") != "2023-10-31" {
			t.Errorf("GET %s: header %v", path, got.header)
		}
	}
}

func TestPanicIsAnsweredWithoutItsCause(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	b := setupWith(t, options{
		log:    slog.NewTextHandler(&log, nil),
		routes: func(e *echo.Echo) { e.POST("/panic/_execute", func(echo.Context) error { panic("cause of it") }) },
	})
	got := b.sendBad("POST", "/panic/_execute", "{}")
	b.wantError(got, http.StatusInternalServerError, "An internal server error occurred. Check the server's log for details.")
	wantExecutionHeaders(t, got, "error")
	if !strings.Contains(log.String(), "cause of it") || !strings.Contains(log.String(), "middleware_test.go") {
		t.Errorf("log lacks the cause and its place: %s", log.String())
	}
	b.must(b.send("GET", "/healthz", ""), http.StatusOK)
}

// lockedBuffer is a buffer that a server may write to while a test reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
