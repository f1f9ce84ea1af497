package api

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// fill makes the list of connectors 6 MiB long: more than HTTP/2's window and
// what the system buffers for a client that does not read. It runs a server of its
// own, in whose time limits that fits.
func fill(t *testing.T, dir string, nc *nats.Conn) {
	t.Helper()
	r := run(t, Config{DataDir: dir, ShutdownTimeout: 10 * time.Second}, nc)
	defer func() {
		r.stop()
		if err := await(t, r.ended); err != nil {
			t.Fatal(err)
		}
	}()
	body := fmt.Sprintf(`{"name":"n","connector_type_id":".index","config":{"index":"i","executionTimeField":%q}}`,
		strings.Repeat("x", 1<<20-200))
	for range 6 {
		response, err := http.Post(r.url+"/api/actions/connector", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Fatal(response.Status)
		}
	}
}

// dial connects without any client's help.
func (r *running) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// drip writes a byte now and then, as long as it can.
func drip(conn net.Conn) {
	for _, err := io.WriteString(conn, "x"); err == nil; _, err = io.WriteString(conn, "x") {
		<-time.After(5 * time.Millisecond)
	}
}

func TestSlowHeaderIsCutOff(t *testing.T) {
	t.Parallel()
	const limit = 100 * time.Millisecond
	r := run(t, Config{DataDir: t.TempDir(), HeaderTimeout: limit}, connect(t, startBroker(t, 0)))
	for name, begin := range map[string]string{"nothing": "", "request line": "GET /heal", "header": "GET /healthz HTTP/1.1\r\nHost: h\r\nX-Slow: "} {
		start := time.Now() // the server counts from when it accepts
		conn := r.dial(t)
		if _, err := io.WriteString(conn, begin); err != nil {
			t.Fatal(err)
		}
		if begin != "" {
			go drip(conn)
		}
		answer, err := io.ReadAll(conn) // nothing, or that it is half a request
		if strings.Contains(string(answer), "200 OK") || isTimeout(err) || time.Since(start) < limit {
			t.Errorf("%s: answer %q, %v after %s, want an end after %s", name, answer, err, time.Since(start), limit)
		}
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

func TestSlowBodyIsCutOff(t *testing.T) {
	t.Parallel()
	const limit = 100 * time.Millisecond
	r := run(t, Config{DataDir: t.TempDir(), ReadTimeout: limit}, connect(t, startBroker(t, 0)))
	for _, start := range []string{"POST /api/actions/connector", "PUT /api/actions/connector/a", "POST /api/actions/connector/a/_execute"} {
		conn := r.dial(t)
		if _, err := io.WriteString(conn, start+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		go drip(conn)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", start, err)
			continue
		}
		body, err := io.ReadAll(response.Body)
		want := envelope(http.StatusBadRequest, "The request body did not arrive within 100ms.")
		if string(body) != want || err != nil || !response.Close {
			t.Errorf("%s: %s, %v, close: %t, want %s and a close", start, body, err, response.Close, want)
		}
	}
}

func TestClientThatDoesNotReadIsCutOff(t *testing.T) {
	t.Parallel()
	dir, nc := t.TempDir(), connect(t, startBroker(t, 0))
	fill(t, dir, nc)
	r := run(t, Config{
		DataDir: dir, ShutdownTimeout: 10 * time.Second,
		ReadTimeout: 300 * time.Millisecond, ExecuteTimeout: 300 * time.Millisecond, WriteTimeout: 300 * time.Millisecond,
	}, nc)
	conn := r.dial(t)
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /api/actions/connectors HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil { // it has begun
		t.Fatal(err)
	}
	r.stop()
	if err := await(t, r.ended); err != nil {
		t.Errorf("run: %v, want no request that still ran", err)
	}
}

// The time to take an answer begins after those for the body and the execution.
func TestExecutionIsNotCutOffByTheTimeForItsAnswer(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, 0)
	arrived, release := held(t, connect(t, broker))
	r := run(t, Config{DataDir: t.TempDir(), WriteTimeout: 50 * time.Millisecond, HeaderTimeout: 100 * time.Millisecond}, connect(t, broker))
	if status, body := r.call(t, "POST", "/api/actions/connector/a", serverLogBody); status != http.StatusOK {
		t.Fatal(status, body)
	}
	executed := make(chan string, 1)
	go func() {
		_, body := r.call(t, "POST", "/api/actions/connector/a/_execute", executeLog)
		executed <- body
	}()
	await(t, arrived)
	if _, err := io.ReadAll(r.dial(t)); err != nil { // until the time for a header is over
		t.Fatal(err)
	}
	release()
	if got, want := await(t, executed), `{"connector_id":"a","status":"ok"}`; got != want {
		t.Errorf("execution got %s, want %s", got, want)
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	const limit = 100 * time.Millisecond
	r := run(t, Config{DataDir: t.TempDir(), IdleTimeout: limit}, connect(t, startBroker(t, 0)))
	conn := r.dial(t)
	reader := bufio.NewReader(conn)
	for range 2 { // the first leaves it open
		if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.Close {
			t.Fatalf("%v, close: %t", err, response.Close)
		}
	}
	start := time.Now()
	if rest, err := io.ReadAll(reader); len(rest) > 0 || err != nil || time.Since(start) < limit/2 {
		t.Errorf("%q, %v after %s, want an end after %s", rest, err, time.Since(start), limit)
	}
}

func TestHeaderMayBeAsLongAsAllowed(t *testing.T) {
	t.Parallel()
	const limit, extra = 8 << 10, 4096 // net/http adds the latter
	r := run(t, Config{DataDir: t.TempDir(), MaxHeader: limit}, connect(t, startBroker(t, 0)))
	for _, test := range []struct{ bytes, want int }{
		{limit, http.StatusOK},
		{limit + extra, http.StatusOK},
		{limit + extra + 1, http.StatusRequestHeaderFieldsTooLarge},
		{10 * limit, http.StatusRequestHeaderFieldsTooLarge},
	} {
		const begin, end = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: ", "\r\n\r\n"
		conn := r.dial(t)
		request := begin + strings.Repeat("x", test.bytes-len(begin)-len(end)) + end
		go func() { _, _ = io.WriteString(conn, request) }() // it may be refused half-way
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%d bytes: %v", test.bytes, err)
			continue
		}
		if response.StatusCode != test.want {
			t.Errorf("%d bytes: %s, want %d", test.bytes, response.Status, test.want)
		}
	}
}
