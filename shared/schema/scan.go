package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"unicode/utf8"
)

// MaxDepth is how many arrays and objects may be open at once in a JSON text
// that comes from outside.
const MaxDepth = 64

// Check returns nil if data is one JSON value in valid UTF-8 that nests at most
// maxDepth arrays and objects, and otherwise an error that tells what is wrong
// and at which byte. The rest of this package takes only data that passed.
func Check(data []byte, maxDepth int) error {
	if wellFormed(data, maxDepth) && utf8.Valid(data) {
		return nil
	}
	// What is wrong with it. Depth first: it is a plain scan, so that hostile nesting
	// is cheap to refuse.
	if at := tooDeep(data, maxDepth); at >= 0 {
		return fmt.Errorf("nested deeper than %d levels (byte %d)", maxDepth, at)
	}
	if !json.Valid(data) {
		var v json.RawMessage
		err := json.Unmarshal(data, &v)
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return fmt.Errorf("%s (byte %d)", syntax.Error(), syntax.Offset)
		}
		return err
	}
	if !utf8.Valid(data) {
		return errors.New("not valid UTF-8")
	}
	return nil
}

// tooDeep returns the offset of the first bracket that opens more than limit
// levels, or -1.
func tooDeep(data []byte, limit int) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			if depth++; depth > limit {
				return i
			}
		case '}', ']':
			depth--
		case '"':
			i = stringEnd(data, i) - 1
		}
	}
	return -1
}

// Members yields the members of the JSON object in data in their order, each as
// its decoded key and the raw bytes of its value. It yields nothing if data is
// not an object. Values alias data.
func Members(data []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		walk(data, func(key []byte, start, end int) bool { return yield(string(key), data[start:end]) })
	}
}

// Each calls read with every member of the JSON object in data, as [Members] yields
// them, until it returns an error. It allocates nothing for keys without escapes.
func Each(data []byte, read func(key, value []byte) error) (err error) {
	walk(data, func(key []byte, start, end int) bool {
		err = read(key, data[start:end])
		return err == nil
	})
	return err
}

// Find returns where the value of a member of the JSON object in data starts and
// ends; of equal keys the last counts, as in JavaScript.
func Find(data []byte, key string) (start, end int, found bool) {
	walk(data, func(k []byte, s, e int) bool {
		if string(k) == key {
			start, end, found = s, e, true
		}
		return true
	})
	return start, end, found
}

// walk calls visit with every member of an object and the place of its value,
// until it returns false.
func walk(data []byte, visit func(key []byte, start, end int) bool) {
	for w := walkOver(data); w.next(); {
		if !visit(unquoted(w.key), w.start, w.end) {
			return
		}
	}
}

// walker goes over the members of an object.
type walker struct {
	data       []byte
	i          int    // where the next one begins
	key        []byte // with its quotes
	start, end int    // of the value
}

func walkOver(data []byte) walker {
	i := skipSpace(data, 0)
	if i >= len(data) || data[i] != '{' {
		return walker{}
	}
	return walker{data: data, i: skipSpace(data, i+1)}
}

// next goes to the next member, if there is one.
func (w *walker) next() bool {
	if w.i >= len(w.data) || w.data[w.i] != '"' {
		return false
	}
	keyEnd := stringEnd(w.data, w.i)
	w.key = w.data[w.i:keyEnd]
	colon := skipSpace(w.data, keyEnd)
	w.start = skipSpace(w.data, colon+1)
	w.end = valueEnd(w.data, w.start)
	comma := skipSpace(w.data, w.end) // or the closing brace
	w.i = skipSpace(w.data, comma+1)
	return true
}

// elements yields the values of the JSON array in data in their order.
func elements(data []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		i := skipSpace(data, 0)
		for i = skipSpace(data, i+1); i < len(data) && data[i] != ']'; {
			end := valueEnd(data, i)
			if !yield(data[i:end]) {
				return
			}
			i = skipSpace(data, end)
			i = skipSpace(data, i+1)
		}
	}
}

func skipSpace(data []byte, i int) int {
	// Nearly always there is none: one comparison tells.
	for i < len(data) && data[i] <= ' ' && (data[i] == ' ' || data[i] == '\n' || data[i] == '\r' || data[i] == '\t') {
		i++
	}
	return i
}

// stringEnd returns the offset after the string that opens at data[i].
func stringEnd(data []byte, i int) int {
	for start := i + 1; ; {
		n := bytes.IndexByte(data[start:], '"')
		if n < 0 {
			return len(data)
		}
		quote := start + n
		escapes := 0
		for data[quote-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return quote + 1
		}
		start = quote + 1
	}
}

// valueEnd returns the offset after the value that begins at data[i].
func valueEnd(data []byte, i int) int {
	depth := 0
	for i < len(data) {
		switch data[i] {
		case '"':
			if i = stringEnd(data, i); depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the end of a number or literal that is the last in its container
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}

// text decodes a JSON string with its quotes.
func text(raw []byte) string { return string(unquoted(raw)) }

// unquoted is text that aliases raw where it can.
func unquoted(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil // raw passed Check: cannot happen
	}
	return []byte(s)
}

// typeOf names the JSON type of raw as config-schema prints it: JSON's own
// lower-case names, but Array and Object, and undefined for a value that is absent.
func typeOf(raw []byte) string {
	if len(raw) == 0 {
		return "undefined"
	}
	switch raw[0] {
	case '{':
		return "Object"
	case '[':
		return "Array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	default:
		return "number"
	}
}
