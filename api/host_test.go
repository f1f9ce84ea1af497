package api

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A page whose name was given the address of this machine sends its own name.
func TestLoopbackAnswersToItsOwnNamesOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	send := func(host string) int {
		return b.do(false, "POST", "/api/actions/connector", serverLogBody, func(r *http.Request) { r.Host = host }).status
	}
	foreign := []string{"evil.example", "evil.example:5601", "localhost.evil.example", "10.0.0.1:5601", "[::2]:5601", "127.0.0.1.evil.example"}
	for _, host := range foreign {
		if got := send(host); got != http.StatusOK {
			t.Errorf("%s on a listener for others: %d, want 200", host, got)
		}
	}
	b.server.loopback = true
	for _, host := range foreign {
		if got := send(host); got != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", host, got)
		}
	}
	for _, host := range []string{"localhost", "LOCALHOST:5601", "127.0.0.1:80", "127.9.9.9", "[::1]:5601", "patchbay.localhost"} {
		if got := send(host); got != http.StatusOK {
			t.Errorf("%s: %d, want 200", host, got)
		}
	}
}

// A client that closes its side before the answer has not left a job that went
// wrong: it gets no answer rather than an empty 200.
func TestClientThatClosesItsSideGetsNoEmptyAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(b.send("POST", "/api/actions/connector/a", serverLogBody), http.StatusOK)
	arrived, release := held(t, b.workers)
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "POST /api/actions/connector/a/_execute HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s",
		len(executeLog), executeLog)
	if err != nil {
		t.Fatal(err)
	}
	await(t, arrived)
	defer release()
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil && response.StatusCode == http.StatusOK {
		t.Errorf("answer: %s, want none", response.Status)
	}
}

// The limit on reading holds where nobody reads, too.
func TestBodyThatNeverComesDoesNotHoldARoute(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.server.config.ReadTimeout = 50 * time.Millisecond
	for _, start := range []string{"GET /healthz", "POST /nothing/here", "POST /api/actions/connector", "DELETE /api/actions/connector/a"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, start+" HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(conn); err != nil { // it ends: the server closes
			t.Errorf("%s: %v", start, err)
		}
		conn.Close()
	}
}
