package index

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

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
func scan(answer []byte) (scanned, error) {
	s := scanned{answer: answer}
	if err := schema.Check(answer, schema.MaxDepth); err != nil {
		return s, err
	}
	start := skipSpace(answer, 0)
	if answer[start] != '{' {
		return s, errNotBulk
	}
	errorsSeen, itemsSeen := 0, 0
	object(answer, start, func(key []byte, at int) int {
		switch {
		case string(key) == `"errors"`:
			errorsSeen++
			s.errors = place{at, valueEnd(answer, at)}
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
		return valueEnd(answer, at)
	})
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
	s.each = nil
	end = array(s.answer, at, func(at int) int {
		end, status := scanItem(s.answer, at)
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
		return valueEnd(data, at), 0
	}
	operations := 0
	end = object(data, at, func(_ []byte, at int) int {
		operations++
		if data[at] != '{' {
			return valueEnd(data, at)
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
		end := valueEnd(data, at)
		switch {
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

// threeDigits returns the number from 200 to 599 that b is, or 0.
func threeDigits(b []byte) int {
	if len(b) != 3 || b[0] < '2' || b[0] > '5' || b[1] < '0' || b[1] > '9' || b[2] < '0' || b[2] > '9' {
		return 0
	}
	return int(b[0]-'0')*100 + int(b[1]-'0')*10 + int(b[2]-'0')
}

// The functions below read JSON that passed [schema.Check].

// object calls visit with every member of the object that begins at data[i]: its
// key with the quotes, and where its value begins; visit returns where that ends.
func object(data []byte, i int, visit func(key []byte, at int) (end int)) (end int) {
	for i = skipSpace(data, i+1); data[i] != '}'; {
		keyEnd := stringEnd(data, i)
		at := skipSpace(data, skipSpace(data, keyEnd)+1) // after the colon
		i = afterComma(data, visit(data[i:keyEnd], at))
	}
	return i + 1
}

// array is object for the values of an array.
func array(data []byte, i int, visit func(at int) (end int)) (end int) {
	for i = skipSpace(data, i+1); data[i] != ']'; {
		i = afterComma(data, visit(i))
	}
	return i + 1
}

// afterComma returns where the next part begins, or its container ends.
func afterComma(data []byte, i int) int {
	if i = skipSpace(data, i); data[i] == ',' {
		i = skipSpace(data, i+1)
	}
	return i
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\r' || data[i] == '\t') {
		i++
	}
	return i
}

// stringEnd returns the offset after the string that opens at data[i].
func stringEnd(data []byte, i int) int {
	for i++; data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd returns the offset after the value that begins at data[i].
func valueEnd(data []byte, i int) int {
	for depth := 0; i < len(data); {
		switch data[i] {
		case '"':
			i = stringEnd(data, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		i++
		if depth == 0 && (i == len(data) || strings.IndexByte(",]} \t\r\n", data[i]) >= 0) {
			return i
		}
	}
	return i
}
