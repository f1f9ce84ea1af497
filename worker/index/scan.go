package index

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"patchbay.dev/shared/schema"
)

// place is where something stands in an answer.
type place struct{ start, end int }

// itemPlace is where an item stands, and the status that it tells, 0 for none.
type itemPlace struct {
	place
	status int
}

// scanned is the answer to a _bulk request of which the parts are known by their
// places, so that they can be passed on as they are.
type scanned struct {
	answer []byte
	errors place // value of "errors"
	failed bool  // that value
	items  place // what stands between the first item of "items" and the last
	each   []itemPlace
}

var errNotBulk = errors.New("it has not the members of one")

// scan reads an answer in one pass. It takes what Elasticsearch says and refuses
// what only a reader with more patience would understand, such as equal keys.
//
// expected is of how many documents it should tell.
func scan(answer []byte, expected int) (scanned, error) {
	s := scanned{answer: answer, each: make([]itemPlace, 0, expected)}
	start := skipSpace(answer, 0)
	if start == len(answer) || answer[start] != '{' {
		return s, cmp.Or(schema.Check(answer, schema.MaxDepth), errNotBulk)
	}
	errorsSeen, itemsSeen := 0, 0
	end := object(answer, start, func(key []byte, at int) int {
		switch {
		case string(key) == `"errors"`:
			errorsSeen++
			s.errors = place{at, valueEnd(answer, at, 1)}
			s.failed = answer[at] == 't'
			if answer[at] != 't' && answer[at] != 'f' {
				errorsSeen++
			}
			return s.errors.end
		case string(key) == `"items"` && answer[at] == '[':
			itemsSeen++
			return s.scanItems(at)
		case like(key, `"errors"`), like(key, `"items"`):
			errorsSeen = 2
		}
		return valueEnd(answer, at, 1)
	})
	if end < 0 || skipSpace(answer, end) < len(answer) || !utf8.Valid(answer) {
		return s, cmp.Or(schema.Check(answer, schema.MaxDepth), errNotBulk)
	}
	if errorsSeen != 1 || itemsSeen != 1 {
		return s, errNotBulk
	}
	return s, nil
}

// like reports whether a reader that is lax about keys could take key for name.
func like(key []byte, name string) bool {
	return bytes.IndexByte(key, '\\') >= 0 || bytes.EqualFold(key, []byte(name))
}

func (s *scanned) scanItems(at int) (end int) {
	s.each = s.each[:0]
	end = array(s.answer, at, func(at int) int {
		end, status := scanItem(s.answer, at)
		if end < 0 {
			return end
		}
		if status == 0 {
			status = decodedStatus(s.answer[at:end])
		}
		s.each = append(s.each, itemPlace{place{at, end}, status})
		return end
	})
	s.items = place{at + 1, at + 1}
	if n := len(s.each); n > 0 {
		s.items = place{s.each[0].start, s.each[n-1].end}
	}
	return end
}

// decodedStatus is the status of an item as encoding/json reads it, which is lax
// about keys; 0 if it tells none.
func decodedStatus(raw []byte) int {
	var operations map[string]item
	if err := json.Unmarshal(raw, &operations); err != nil {
		return 0
	}
	i, ok := only(operations)
	if !ok || i.Status < 200 || i.Status > 599 {
		return 0
	}
	return i.Status
}

// scanItem reads an item like {"create":{"_index":"a","status":201}}.
func scanItem(data []byte, at int) (end, status int) {
	if data[at] != '{' {
		return valueEnd(data, at, 2), 0
	}
	operations := 0
	end = object(data, at, func(_ []byte, at int) int {
		operations++
		if data[at] != '{' {
			return valueEnd(data, at, 3)
		}
		var end int
		end, status = scanResult(data, at)
		return end
	})
	if operations != 1 {
		status = 0
	}
	return end, status
}

func scanResult(data []byte, at int) (end, status int) {
	odd := false
	end = object(data, at, func(key []byte, at int) int {
		end := valueEnd(data, at, 4)
		switch {
		case end < 0, !mayBeStatus(key):
		case string(key) == `"status"`:
			odd = odd || status != 0
			status = threeDigits(data[at:end])
		case like(key, `"status"`):
			odd = true
		}
		return end
	})
	if odd {
		status = 0
	}
	return end, status
}

// mayBeStatus reports whether a key could be like "status": one look at its first
// sign tells for nearly all.
func mayBeStatus(key []byte) bool {
	c := key[1]
	return c|0x20 == 's' || c == '\\' || c >= 0x80
}

// threeDigits returns the number from 200 to 599 that b is, or 0.
func threeDigits(b []byte) int {
	if len(b) != 3 || b[0] < '2' || b[0] > '5' || b[1] < '0' || b[1] > '9' || b[2] < '0' || b[2] > '9' {
		return 0
	}
	return int(b[0]-'0')*100 + int(b[1]-'0')*10 + int(b[2]-'0')
}

// The functions below read JSON of which nothing is known. They return -1 where it is
// not well formed, or too deep.

// object calls visit with every member of the object that begins at data[i]: its
// key with the quotes, and where its value begins; visit returns where that ends.
func object(data []byte, i int, visit func(key []byte, at int) (end int)) (end int) {
	return list(data, i, '}', func(i int) int {
		if data[i] != '"' {
			return -1
		}
		keyEnd, ok := schema.Skip(data, i, 0)
		colon := skipSpace(data, keyEnd)
		if !ok || colon == len(data) || data[colon] != ':' {
			return -1
		}
		at := skipSpace(data, colon+1)
		if at == len(data) {
			return -1
		}
		return visit(data[i:keyEnd], at)
	})
}

// array is object for the values of an array.
func array(data []byte, i int, visit func(at int) (end int)) (end int) {
	return list(data, i, ']', visit)
}

// list calls visit where each part of a container begins; visit returns where it ends.
func list(data []byte, i int, closing byte, visit func(at int) (end int)) (end int) {
	i = skipSpace(data, i+1)
	if i < len(data) && data[i] == closing {
		return i + 1
	}
	for i < len(data) {
		if i = visit(i); i < 0 {
			return -1
		}
		i = skipSpace(data, i)
		switch {
		case i == len(data):
			return -1
		case data[i] == closing:
			return i + 1
		case data[i] != ',':
			return -1
		}
		i = skipSpace(data, i+1)
	}
	return -1
}

func skipSpace(data []byte, i int) int {
	if i < len(data) && data[i] > ' ' { // nearly always
		return i
	}
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\r' || data[i] == '\t') {
		i++
	}
	return i
}

// valueEnd returns the offset after the value that begins at data[i], inside of so
// many containers.
func valueEnd(data []byte, i, inside int) int {
	if end, ok := schema.Skip(data, i, schema.MaxDepth-inside); ok {
		return end
	}
	return -1
}
