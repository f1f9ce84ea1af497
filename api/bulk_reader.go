package api

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// What is accepted together, at most; a longer line is alone.
const (
	chunkLines = 256
	chunkBytes = 1 << 20
)

// chunk is some lines that are accepted together.
type chunk struct {
	data  []byte // of the lines, one after the other
	lines []line
	extra int64 // bytes that it holds beyond those that every call may
}

// line is one line of a chunk, a part of its data, or the reason why it is not.
type line struct {
	number   int // from 1; blank ones count
	from, to int
	err      error
}

// lineReader reads lines of at most some size.
type lineReader struct {
	r      *bufio.Reader
	max    int64
	ticket *ticket
	number int               // lines read
	late   func(error) error // why a line is not there to its end
}

// lineBuffer is what is read at once.
const lineBuffer = 64 << 10

func newLineReader(r io.Reader, longest int64, t *ticket) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, lineBuffer), max: longest, ticket: t}
}

// next puts into c what is there: a line at least, for which it waits. An error, such
// as [io.EOF], comes with the lines before it.
func (l *lineReader) next(c *chunk) error {
	l.clear(c)
	for {
		if err := l.line(c); err != nil {
			return err
		}
		if len(c.lines) == chunkLines || len(c.data) >= chunkBytes || len(c.lines) > 0 && !l.more() {
			return nil
		}
	}
}

// clear empties a chunk, and gives back the room that a long line took.
func (l *lineReader) clear(c *chunk) {
	if c.extra > 0 {
		_ = l.ticket.hold(-c.extra, time.Now()) // less is never refused
		*c = chunk{}
	}
	c.data, c.lines = c.data[:0], c.lines[:0]
}

// more reports whether another whole line has come.
func (l *lineReader) more() bool {
	there, _ := l.r.Peek(l.r.Buffered())
	return bytes.IndexByte(there, '\n') >= 0
}

// line reads one line into c. What is too long is read to its end and not kept.
func (l *lineReader) line(c *chunk) error {
	from := len(c.data)
	var refusal, err error
	for {
		var piece []byte
		piece, err = l.r.ReadSlice('\n')
		if refusal == nil {
			refusal = l.room(c, len(c.data)-from+len(bytes.TrimRight(piece, "\r\n")), len(piece))
		}
		if refusal == nil {
			c.data = append(c.data, piece...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
	}
	if err != nil && !errors.Is(err, io.EOF) && refusal == nil {
		refusal = l.late(err)
	}
	if errors.Is(err, io.EOF) && refusal == nil && len(c.data) == from { // there was no further line
		return err
	}
	l.number++
	switch {
	case refusal != nil:
		c.data = c.data[:from]
		c.lines = append(c.lines, line{number: l.number, err: refusal})
	case len(bytes.TrimSpace(c.data[from:])) == 0:
		c.data = c.data[:from] // blank
	default:
		c.lines = append(c.lines, line{number: l.number, from: from, to: len(c.data)})
	}
	return err
}

// room makes sure that a chunk may hold a further piece of a line that is then so
// long.
func (l *lineReader) room(c *chunk, length, piece int) error {
	if int64(length) > l.max {
		return &problem{status: http.StatusRequestEntityTooLarge,
			message: fmt.Sprintf("The line is longer than the maximum allowed: %d", l.max)}
	}
	missing := int64(len(c.data)+piece) - (chunkBytes + lineBuffer) - c.extra
	if missing <= 0 {
		return nil
	}
	more := (missing + firstRead - 1) / firstRead * firstRead
	if err := l.ticket.hold(more, time.Now()); err != nil {
		return err
	}
	c.extra += more
	return nil
}
