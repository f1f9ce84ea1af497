package schema

import (
	"encoding/binary"
	"math/bits"
)

// wellFormed reports whether data is one JSON value that nests at most maxDepth
// arrays and objects. It is json.Valid by hand, several times as fast: every body
// passes it on each side of the broker.
func wellFormed(data []byte, maxDepth int) bool {
	i, ok := skipValue(data, 0, maxDepth)
	return ok && skipSpace(data, i) == len(data)
}

// Skip returns the offset after the JSON value at i, of which nothing is known, and
// whether it is well formed and nests at most maxDepth arrays and objects. That it is
// valid UTF-8 is not looked at.
func Skip(data []byte, i, maxDepth int) (end int, ok bool) {
	if i < len(data) && data[i] == '"' { // most are
		return skipString(data, i)
	}
	return skipValue(data, i, maxDepth)
}

// skipValue returns the offset after the value at i, of which nothing is known, and
// white space before it.
func skipValue(data []byte, i, maxDepth int) (end int, ok bool) {
	var few [64]byte
	open := few[:0] // the brackets that must close
	ok = true
	for {
		// A value stands at i.
		if i = skipSpace(data, i); i == len(data) {
			return i, false
		}
		switch c := data[i]; {
		case c == '"':
			i, ok = skipString(data, i)
		case c == '{' || c == '[':
			if len(open) == maxDepth {
				return i, false
			}
			open = append(open, c+2) // in ASCII the closing one is two further on
			if i = skipSpace(data, i+1); i < len(data) && data[i] == c+2 {
				break // it is empty, and closes below
			}
			if c == '{' {
				i, ok = skipKey(data, i)
			}
			if ok {
				continue
			}
		case c == '-' || isDigit(c):
			i, ok = skipNumber(data, i)
		default:
			i, ok = skipWord(data, i)
		}
		if !ok {
			return i, false
		}
		// A value ends before i, or an empty container closes at i.
		for {
			if len(open) == 0 {
				return i, true
			}
			if i = skipSpace(data, i); i == len(data) {
				return i, false
			}
			closing := open[len(open)-1]
			if data[i] == closing {
				open = open[:len(open)-1]
				i++
				continue
			}
			if data[i] != ',' {
				return i, false
			}
			i++
			if closing == '}' {
				if i, ok = skipKey(data, skipSpace(data, i)); !ok {
					return i, false
				}
			}
			break
		}
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// skipKey returns the offset after the key at i and its colon.
func skipKey(data []byte, i int) (int, bool) {
	if i == len(data) || data[i] != '"' {
		return i, false
	}
	i, ok := skipString(data, i)
	if i = skipSpace(data, i); !ok || i == len(data) || data[i] != ':' {
		return i, false
	}
	return i + 1, true
}

// skipString returns the offset after the string that opens at i.
func skipString(data []byte, i int) (int, bool) {
	for i++; ; {
		if len(data)-i >= 8 {
			found := stops(binary.LittleEndian.Uint64(data[i:]))
			if found == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(found) / 8
		} else if i == len(data) {
			return i, false
		}
		switch c := data[i]; {
		case c == '"':
			return i + 1, true
		case c < ' ':
			return i, false
		case c == '\\':
			end, ok := skipEscape(data, i)
			if !ok {
				return end, false
			}
			i = end
		default: // near the end
			i++
		}
	}
}

const (
	each = 0x0101010101010101 // times a byte: a word of that byte
	high = 0x80 * each
)

// stops marks the high bit of the first of eight bytes, the lowest, that is not plain
// text in a string: a quote, a backslash or a control character. It marks none before
// it; what it marks behind that means nothing.
func stops(w uint64) uint64 {
	quote, escape := w^'"'*each, w^'\\'*each
	return ((w-' '*each)&^w | (quote-each)&^quote | (escape-each)&^escape) & high
}

// skipEscape returns the offset after the escape that begins at i.
func skipEscape(data []byte, i int) (int, bool) {
	if i++; i == len(data) {
		return i, false
	}
	switch data[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1, true
	case 'u':
		if len(data)-i < 5 || !isHex(data[i+1]) || !isHex(data[i+2]) || !isHex(data[i+3]) || !isHex(data[i+4]) {
			return i, false
		}
		return i + 5, true
	default:
		return i, false
	}
}

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// skipNumber returns the offset after the number that begins at i.
func skipNumber(data []byte, i int) (int, bool) {
	if data[i] == '-' {
		i++
	}
	whole := i
	if i = skipDigits(data, i); i == whole || data[whole] == '0' && i > whole+1 {
		return i, false
	}
	if i < len(data) && data[i] == '.' {
		part := i + 1
		if i = skipDigits(data, part); i == part {
			return i, false
		}
	}
	if i < len(data) && (data[i] == 'e' || data[i] == 'E') {
		if i++; i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		part := i
		if i = skipDigits(data, part); i == part {
			return i, false
		}
	}
	return i, true
}

func skipDigits(data []byte, i int) int {
	for i < len(data) && isDigit(data[i]) {
		i++
	}
	return i
}

// skipWord returns the offset after true, false or null at i.
func skipWord(data []byte, i int) (int, bool) {
	for _, word := range [...]string{"true", "false", "null"} {
		if len(data)-i >= len(word) && string(data[i:i+len(word)]) == word {
			return i + len(word), true
		}
	}
	return i, false
}
