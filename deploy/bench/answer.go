package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"net/textproto"
	"slices"
	"strconv"
)

// answerReader reads just as much HTTP as the programs speak, so that the load
// generator takes little of the CPU that it shares with them.
type answerReader struct {
	r    *bufio.Reader
	body []byte // of the last answer
}

var (
	protocol         = []byte("HTTP/1.1 ")
	contentLength    = []byte("Content-Length")
	transferEncoding = []byte("Transfer-Encoding")
	chunked          = []byte("chunked")
)

func (a *answerReader) reset(r io.Reader) {
	if a.r == nil {
		a.r = bufio.NewReader(r)
		return
	}
	a.r.Reset(r)
}

// next reads one answer and returns its status.
func (a *answerReader) next() (status int, err error) {
	line, err := a.r.ReadSlice('\n')
	if err != nil {
		return 0, fmt.Errorf("read answer: %w", err)
	}
	rest, ok := bytes.CutPrefix(line, protocol)
	if !ok || len(rest) < 3 {
		return 0, fmt.Errorf("this is no answer: %q", line)
	}
	if status, err = strconv.Atoi(string(rest[:3])); err != nil {
		return 0, fmt.Errorf("this is no answer: %q", line)
	}
	length, inChunks := -1, false
	for {
		line, err := a.r.ReadSlice('\n')
		if err != nil {
			return 0, fmt.Errorf("read header: %w", err)
		}
		if line = textproto.TrimBytes(line); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = textproto.TrimBytes(value)
		switch {
		case bytes.EqualFold(name, contentLength):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, fmt.Errorf("read header: %w", err)
			}
		case bytes.EqualFold(name, transferEncoding):
			inChunks = bytes.EqualFold(value, chunked)
		}
	}
	if inChunks {
		return status, a.readChunks()
	}
	if length < 0 {
		return 0, errors.New("the answer has no Content-Length")
	}
	a.body = slices.Grow(a.body[:0], length)[:length]
	if _, err := io.ReadFull(a.r, a.body); err != nil {
		return 0, fmt.Errorf("read body: %w", err)
	}
	return status, nil
}

func (a *answerReader) readChunks() error {
	b := bytes.NewBuffer(a.body[:0])
	if _, err := b.ReadFrom(httputil.NewChunkedReader(a.r)); err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	a.body = b.Bytes()
	if _, err := a.r.ReadSlice('\n'); err != nil { // the blank line after the last chunk
		return fmt.Errorf("read body: %w", err)
	}
	return nil
}
