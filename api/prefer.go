package api

import (
	"strconv"
	"strings"
	"time"
)

// preference is what a request would like, of what RFC 7240 names.
type preference struct {
	async bool          // respond-async: to be told at once that it was accepted
	waits bool          // wait: that long for the answer itself
	wait  time.Duration // whole seconds
}

// maxWait is more than anybody is waited for; larger numbers are read as this one.
const maxWait = 24 * time.Hour

// parsePrefer reads the values of the header Prefer. As the RFC has it, the first of
// equal names counts, names do not care for case, and what is not known here, or is
// malformed, is as if it were not there.
func parsePrefer(values []string) preference {
	var p preference
	asked, waited := false, false
	for _, value := range values {
		for value != "" {
			var name, text string
			name, text, value = nextPreference(value)
			switch {
			case strings.EqualFold(name, "respond-async") && !asked:
				asked, p.async = true, text == ""
			case strings.EqualFold(name, "wait") && !waited:
				waited = true
				p.wait, p.waits = seconds(text)
			}
		}
	}
	return p
}

// nextPreference cuts the first preference off a list: its name and value, "" for
// none. Parameters after a semicolon are left out.
func nextPreference(list string) (name, value, rest string) {
	first := list
	if comma := indexUnquoted(list, ','); comma >= 0 {
		first, rest = list[:comma], list[comma+1:]
	}
	if semicolon := indexUnquoted(first, ';'); semicolon >= 0 {
		first = first[:semicolon]
	}
	name, value, _ = strings.Cut(first, "=")
	return trimSpace(name), unquote(trimSpace(value)), rest
}

// indexUnquoted returns where sign is first in s outside of a quoted string, or -1.
func indexUnquoted(s string, sign byte) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sign && !quoted:
			return i
		}
	}
	return -1
}

// trimSpace cuts off what HTTP calls white space.
func trimSpace(s string) string { return strings.Trim(s, " \t") }

// unquote returns what a quoted string says, and anything else as it is.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// seconds reads delta-seconds.
func seconds(text string) (time.Duration, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil { // out of range
		return maxWait, true
	}
	return min(time.Duration(n)*time.Second, maxWait), true
}

// applied is the value of Preference-Applied.
func (p preference) applied() string {
	if !p.waits {
		return "respond-async"
	}
	return "respond-async, wait=" + strconv.Itoa(int(p.wait/time.Second))
}
