package api

import (
	"context"
	"net"
	"net/http"

	"patchbay.dev/shared/wire"
)

// net/http writes the header of an answer with as much of its body as fits into a
// buffer of 4 KiB, and then the rest: the client is woken twice. A body in between
// these sizes leaves with its header in one write. One that is larger takes several
// anyway, and a copy of it would cost more.
const (
	smallestPiece = 4 << 10
	largestPiece  = 60 << 10 // with its header it fits into what wire.Buffers keeps
)

// pieces is a listener of connections that know how to wait for the end of a body.
type pieces struct {
	net.Listener
	buffers *wire.Buffers
}

// Accept implements [net.Listener].
func (l pieces) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &piece{Conn: c, buffers: l.buffers}, nil
}

// piece is a connection that keeps the beginning of an answer until its end comes.
type piece struct {
	net.Conn
	buffers *wire.Buffers
	more    int     // bytes that come at least; 0 for unknown
	kept    *[]byte // what came of them
}

// expect says that a body of so many bytes is written next.
func (c *piece) expect(size int) {
	if c.kept == nil && size >= smallestPiece && size <= largestPiece {
		c.more, c.kept = size, c.buffers.Get(size+smallestPiece)
	}
}

// Write implements [net.Conn]. What is shorter than what comes at least is not the end
// of it: the header comes on top.
func (c *piece) Write(p []byte) (int, error) {
	if c.kept == nil {
		return c.Conn.Write(p)
	}
	*c.kept = append(*c.kept, p...)
	if c.more -= len(p); c.more > 0 {
		return len(p), nil
	}
	defer c.buffers.Put(c.kept)
	defer func() { c.kept = nil }()
	if _, err := c.Conn.Write(*c.kept); err != nil {
		return 0, err // net/http gives the connection up
	}
	return len(p), nil
}

// CloseWrite has the client see the end before the connection is closed. net/http
// asks for it.
func (c *piece) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

type pieceKey struct{}

// withPiece is the ConnContext of the server.
func withPiece(ctx context.Context, c net.Conn) context.Context {
	if c, ok := c.(*piece); ok {
		return context.WithValue(ctx, pieceKey{}, c)
	}
	return ctx
}

// expectBody says that the whole body of an answer is written next.
func expectBody(r *http.Request, size int) {
	// No body follows the header of an answer to HEAD.
	if c, ok := r.Context().Value(pieceKey{}).(*piece); ok && r.Method != http.MethodHead {
		c.expect(size)
	}
}
