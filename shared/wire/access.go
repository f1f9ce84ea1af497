package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Access is what the caller of an execution may reach, where that is less than
// everything. Every limit of a caller belongs here: a side that does not know
// one of its members refuses the request instead of running it without the limit.
type Access struct {
	Key string `json:"key"` // id of the caller's API key
	// Indices are patterns of the indices that it may write to, as [CheckPattern]
	// takes them; none allows no index.
	Indices []string `json:"indices"`
}

// UnmarshalJSON implements [json.Unmarshaler]. Unlike the rest of a [Request] it
// refuses unknown members.
func (a *Access) UnmarshalJSON(data []byte) error {
	type plain Access
	var p plain
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return fmt.Errorf("access limited in a way that is not known here, perhaps by a newer api: %w", err)
	}
	*a = Access(p)
	return nil
}

// Allows reports whether a caller may write to an index: one of the patterns
// matches its name, or a is nil. The name is compared as it is given: that of an
// alias or data stream is not resolved, date math is not computed.
func (a *Access) Allows(index string) bool {
	if a == nil {
		return true
	}
	for _, pattern := range a.Indices {
		if matches(pattern, index) {
			return true
		}
	}
	return false
}

// CheckPattern returns nil for a pattern of index names. As in the index
// privileges of Elasticsearch 8.19, * stands for any characters, also none, and ?
// for any one; unlike there, regular expressions and escapes are refused, and
// so is what no name of an index can match.
func CheckPattern(pattern string) error {
	refuse := func(rule string) error { return fmt.Errorf("index pattern %q %s", pattern, rule) }
	switch {
	case pattern == "":
		return errors.New("an index pattern must not be empty")
	case len(pattern) > 255:
		return fmt.Errorf("an index pattern must not be longer than 255 bytes, this one has %d", len(pattern))
	case !utf8.ValidString(pattern):
		return refuse("must be UTF-8")
	case strings.ContainsAny(pattern[:1], "_-+"):
		return refuse("must not start with '_', '-' or '+'")
	case strings.ContainsFunc(pattern, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return refuse("must not contain spaces or control characters")
	case strings.ContainsAny(pattern, `"\<|,>/#:`):
		return refuse(`must not contain any of " \ < | , > / # :`)
	case strings.ToLower(pattern) != pattern:
		return refuse("must be lowercase")
	default:
		return nil
	}
}

// matches reports whether the whole name matches. When a character does not, only
// the last * is given one more: an earlier one could not do better. So it takes at
// most as many steps as the product of the lengths.
func matches(pattern, name string) bool {
	p, n := 0, 0
	star, taken := -1, 0 // the last * and the end of what it has taken of name
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, taken = p, n
			p++
		case p < len(pattern) && pattern[p] == '?':
			p++
			n += firstSize(name[n:])
		case p < len(pattern) && pattern[p] == name[n]:
			p++
			n++
		case star >= 0:
			taken += firstSize(name[taken:]) // never half a character: a ? would match the rest
			p, n = star+1, taken
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// firstSize returns how many bytes the first character of s has.
func firstSize(s string) int {
	_, size := utf8.DecodeRuneInString(s)
	return size
}
