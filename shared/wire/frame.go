package wire

import (
	"bytes"
	"strconv"
)

// A message whose raw part is large says in its first member how many bytes that has,
// and has it last. Who knows of that need not look through it to find its end; for
// everyone else the message is JSON like any other.
const (
	frameOpening = `{"raw_bytes":`
	// framedSize is from how many bytes on a raw part is framed.
	framedSize = 1 << 10
	// frameSize is the most that a frame adds to a message.
	frameSize = len(frameOpening + `9223372036854775807,`)
)

// open appends the beginning of a message whose raw part has so many bytes.
func open(b []byte, raw int) []byte {
	if raw < framedSize {
		return append(b, '{')
	}
	b = strconv.AppendInt(append(b, frameOpening...), int64(raw), 10)
	return append(b, ',')
}

// unframe parts a message whose raw part is the member name: head is what else it
// says, and nobody has looked at the raw part. Without a frame that fits all of it is
// the head.
func unframe(data []byte, name string) (head, raw []byte) {
	rest, ok := bytes.CutPrefix(data, []byte(frameOpening))
	if !ok {
		return data, nil
	}
	digits, _, _ := bytes.Cut(rest[:min(len(rest), frameSize)], []byte(","))
	size, err := strconv.Atoi(string(digits))
	key := len(`,"":`) + len(name)
	end := len(data) - 1
	if err != nil || size < 1 || size > end-key || data[end] != '}' {
		return data, nil
	}
	start := end - size
	if string(data[start-key:start]) != `,"`+name+`":` {
		return data, nil
	}
	head = append(make([]byte, 0, start-key+1), data[:start-key]...)
	return append(head, '}'), data[start:end]
}
