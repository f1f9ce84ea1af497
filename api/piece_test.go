package api

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"patchbay.dev/shared/wire"
)

// writeCounter is a listener of connections that count what is written to them.
type writeCounter struct {
	net.Listener
	writes atomic.Int64
}

type countedConn struct {
	net.Conn
	writes *atomic.Int64
}

func (l *writeCounter) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countedConn{c, &l.writes}, err
}

func (c countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// pieceServer serves bodies of the size that the path names, and returns what counts
// its writes.
func pieceServer(t *testing.T) (*writeCounter, *bufio.ReadWriter) {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &writeCounter{Listener: tcp}
	h := &http.Server{ConnContext: withPiece, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var size int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &size)
		w.Header().Set("Content-Length", fmt.Sprint(size))
		expectBody(r, size)
		_, _ = w.Write(bytes.Repeat([]byte("x"), size))
	})}
	served := make(chan error, 1)
	go func() { served <- h.Serve(pieces{l, new(wire.Buffers)}) }()
	t.Cleanup(func() { _ = h.Close(); <-served })
	c, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return l, bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c))
}

func TestBodiesOfAFewKiBLeaveInOneWrite(t *testing.T) {
	t.Parallel()
	l, client := pieceServer(t)
	const header = 200 // at most
	for _, c := range []struct {
		method string
		size   int
		writes int64
	}{
		{"GET", 0, 1}, {"GET", 1, 1}, {"GET", smallestPiece - 1 - header, 1}, {"GET", smallestPiece - 1, 2}, {"GET", smallestPiece + 1, 1}, {"GET", smallestPiece + header, 1},
		{"HEAD", 10_000, 1}, {"GET", 10_000, 1}, {"GET", 10_000, 1}, {"GET", 1, 1}, {"GET", 2*smallestPiece - header, 1}, {"GET", largestPiece, 1}, {"GET", largestPiece + 1, 2}, {"GET", 1 << 20, 2}, {"GET", 5000, 1},
	} {
		before := l.writes.Load()
		fmt.Fprintf(client, "%s /%d HTTP/1.1\r\nHost: a\r\n\r\n", c.method, c.size)
		_ = client.Flush()
		request, _ := http.NewRequest(c.method, "/", nil)
		response, err := http.ReadResponse(client.Reader, request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		want := strings.Repeat("x", c.size)
		if c.method == "HEAD" {
			want = ""
		}
		if err != nil || string(body) != want || response.ContentLength != int64(c.size) {
			t.Fatalf("%s %d: %v, %d bytes, announced %d", c.method, c.size, err, len(body), response.ContentLength)
		}
		if got := l.writes.Load() - before; got != c.writes {
			t.Errorf("%s %d: %d writes, want %d", c.method, c.size, got, c.writes)
		}
	}
}

// A client that sends more than is read still gets its answer: net/http closes its
// side first.
func TestPiecesCloseTheirSideFirst(t *testing.T) {
	t.Parallel()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	client, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := pieces{tcp, new(wire.Buffers)}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	half, ok := c.(interface{ CloseWrite() error })
	if !ok {
		t.Fatal("net/http does not find CloseWrite")
	}
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the client reads %d bytes, %v, want its end", n, err)
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Errorf("the client's side is closed too: %v", err)
	}
}
