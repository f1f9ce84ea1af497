package api

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// bodies are the routes that read one, each with a body that it takes.
var bodies = []struct{ method, path, body string }{
	{"POST", "/api/actions/connector", serverLogBody},
	{"POST", "/api/actions/connector/b", serverLogBody},
	{"PUT", "/api/actions/connector/a", `{"name":"x"}`},
	{"POST", "/api/actions/connector/a/_execute", `{"params":{"message":"x"}}`},
	{"POST", "/s/default/api/actions/action/a/_execute", `{"params":{"message":"x"}}`},
}

func TestMalformedJSONIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	for body, reason := range map[string]string{
		"{":                          "unexpected end of JSON input (byte 1)",
		"{}{}":                       "invalid character '{' after top-level value (byte 3)",
		"{},":                        "invalid character ',' after top-level value (byte 3)",
		"{'name':1}":                 `invalid character '\'' looking for beginning of object key string (byte 2)`,
		"name=x":                     "invalid character 'a' in literal null (expecting 'u') (byte 2)",
		"\ufeff{}":                   "invalid character 'ï' looking for beginning of value (byte 1)",
		"{\"name\":\"\xff\"}":        "not valid UTF-8",
		"{\"name\":\"a\x00b\"}":      `invalid character '\x00' in string literal (byte 11)`,
		strings.Repeat("[", 65):      "nested deeper than 64 levels (byte 64)",
		strings.Repeat(`{"a":`, 200): "nested deeper than 64 levels (byte 320)",
	} {
		for _, route := range bodies {
			b.wantError(b.sendBad(route.method, route.path, body), http.StatusBadRequest, "Invalid request payload JSON format: "+reason)
		}
	}
}

func TestHostileNestingIsRefusedQuickly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	start := time.Now()
	for _, body := range []string{
		strings.Repeat("[", 200_000),
		strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
		strings.Repeat(`{"a":`, 200_000),
		`{"name":"a","connector_type_id":".index","config":` + strings.Repeat("[", 200_000),
	} {
		got := b.sendBad("POST", "/api/actions/connector", body)
		if !strings.Contains(got.body, "nested deeper than 64 levels") {
			t.Errorf("body %s", got.body)
		}
		b.must(got, http.StatusBadRequest)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestOnlyJSONIsTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	for _, route := range bodies {
		for _, contentType := range []string{
			"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml",
			"application/jsonp", "text/json", "application/json; charset", "nonsense", ";",
		} {
			got := b.sendBad(route.method, route.path, route.body, header("Content-Type", contentType))
			b.wantError(got, http.StatusUnsupportedMediaType,
				`Unsupported Media Type: send the header Content-Type: application/json; it is "`+contentType+`"`)
		}
		for _, encoding := range []string{"gzip", "GZIP", "x-gzip", "br", "deflate", "zstd", "gzip, identity", "identity, gzip", "identity,gzip", "*"} {
			got := b.sendBad(route.method, route.path, zipped(t, route.body), header("Content-Encoding", encoding))
			b.wantError(got, http.StatusUnsupportedMediaType,
				`Unsupported Media Type: the body must not be compressed; Content-Encoding is "`+encoding+`"`)
		}
		inParts := func(r *http.Request) { r.Header["Content-Encoding"] = []string{"identity", "gzip"} }
		b.wantError(b.sendBad(route.method, route.path, zipped(t, route.body), inParts), http.StatusUnsupportedMediaType,
			`Unsupported Media Type: the body must not be compressed; Content-Encoding is "identity, gzip"`)
	}
}

func zipped(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestJSONIsTakenUnderItsOtherNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, contentType := range []string{
		"", "application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8", "APPLICATION/JSON",
		"application/vnd.api+json", "application/json; charset=utf-8; x=y",
	} {
		got := b.sendBad("POST", "/api/actions/connector", serverLogBody, header("Content-Type", contentType), header("Content-Encoding", "Identity"))
		if got.status != http.StatusOK {
			t.Errorf("content type %q: status %d %s", contentType, got.status, got.body)
		}
	}
}

func TestBodyMayBeExactlyAsLongAsAllowed(t *testing.T) {
	t.Parallel()
	const limit = 600 << 10 // above what is read at once
	b := setupWith(t, options{maxBody: limit})
	fits := padded(serverLogBody, limit)
	const message = "Payload content length greater than maximum allowed: 614400"
	chunked := func(r *http.Request) { r.ContentLength = -1; r.Body = io.NopCloser(r.Body) }
	b.must(b.send("POST", "/api/actions/connector", fits), http.StatusOK)
	b.must(b.send("POST", "/api/actions/connector", fits, chunked), http.StatusOK)
	b.wantError(b.send("POST", "/api/actions/connector", fits+" "), http.StatusRequestEntityTooLarge, message)
	b.wantError(b.send("POST", "/api/actions/connector", fits+" ", chunked), http.StatusRequestEntityTooLarge, message)
	b.wantError(b.send("POST", "/api/actions/connector/a/_execute", padded(`{"params":{"message":""}}`, limit+1)),
		http.StatusRequestEntityTooLarge, message)
}

// padded adds blanks to JSON until it has a length.
func padded(json string, length int) string {
	return json + strings.Repeat(" ", length-len(json))
}

// The body is announced and never sent, so only a server that does not wait for
// it can answer.
func TestTooLongABodyIsRefusedBeforeItIsRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /api/actions/connector HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", 1<<20+1)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", response.StatusCode)
	}
}

func TestConnectionServesOnAfterARefusedBody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(b.sendBad("POST", "/api/actions/connector", "{"), http.StatusBadRequest)
	b.must(b.send("POST", "/api/actions/connector", padded(serverLogBody, 1<<20+1)), http.StatusRequestEntityTooLarge)
	b.must(b.send("POST", "/api/actions/connector", serverLogBody), http.StatusOK)
}
