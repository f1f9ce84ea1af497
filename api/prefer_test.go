package api

import (
	"strings"
	"testing"
	"time"
)

func TestPreferIsReadAsTheRFCSays(t *testing.T) {
	t.Parallel()
	async := preference{async: true}
	waiting := func(n int) preference {
		return preference{async: true, waits: true, wait: time.Duration(n) * time.Second}
	}
	for _, test := range []struct {
		values []string
		want   preference
	}{
		{nil, preference{}},
		{[]string{""}, preference{}},
		{[]string{"respond-async"}, async},
		{[]string{"Respond-ASYNC"}, async},
		{[]string{" respond-async\t"}, async},
		{[]string{"respond-async;foo=bar"}, async},
		{[]string{"respond-async=\"\""}, async},
		{[]string{"respond-async=no"}, preference{}},
		{[]string{"respond-async=no, respond-async"}, preference{}}, // the first counts
		{[]string{"respond-asynchronously"}, preference{}},
		{[]string{"return=minimal"}, preference{}},
		{[]string{"return=minimal, respond-async"}, async},
		{[]string{"handling=lenient", "respond-async"}, async},
		{[]string{`foo="a, respond-async"`}, preference{}},
		{[]string{`foo="a\", respond-async"`}, preference{}},
		{[]string{`foo="a\\", respond-async`}, async},
		{[]string{`foo="open, respond-async`}, preference{}},
		{[]string{`foo; a="b;c, d", respond-async`}, async},
		{[]string{",,respond-async,"}, async},
		{[]string{"respond-async, wait=5"}, waiting(5)},
		{[]string{"wait=5", "respond-async"}, waiting(5)},
		{[]string{"respond-async, WAIT = 5"}, waiting(5)},
		{[]string{`respond-async, wait="5"`}, waiting(5)},
		{[]string{`respond-async, wait="\5"`}, waiting(5)},
		{[]string{"respond-async, wait=5; foo"}, waiting(5)},
		{[]string{"respond-async, wait=0"}, waiting(0)},
		{[]string{"respond-async, wait=5, wait=7"}, waiting(5)},
		{[]string{"respond-async, wait=x, wait=7"}, async},
		{[]string{"respond-async, wait=-1"}, async},
		{[]string{"respond-async, wait=+1"}, async},
		{[]string{"respond-async, wait=1.5"}, async},
		{[]string{"respond-async, wait="}, async},
		{[]string{"respond-async, wait"}, async},
		{[]string{"respond-async, wait=86401"}, waiting(86400)},
		{[]string{"respond-async, wait=99999999999999999999"}, waiting(86400)},
		{[]string{"wait=5"}, preference{waits: true, wait: 5 * time.Second}},
	} {
		if got := parsePrefer(test.values); got != test.want {
			t.Errorf("%q: %+v, want %+v", test.values, got, test.want)
		}
	}
}

func TestPreferenceAppliedNamesWhatWasDone(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]preference{
		"respond-async":         {async: true},
		"respond-async, wait=0": {async: true, waits: true},
		"respond-async, wait=7": {async: true, waits: true, wait: 7*time.Second + time.Millisecond},
	} {
		if got := p.applied(); got != want {
			t.Errorf("%+v: %q, want %q", p, got, want)
		}
	}
}

// Whatever is sent, reading ends; and a field in several lines is the same as one
// with commas between them, as HTTP has it.
func FuzzPrefer(f *testing.F) {
	for _, seed := range []string{"respond-async", "respond-async, wait=5", `a="b\", c"; d=e, wait="7"`, "wait=,,;=\"", "respond-async\nwait=3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Split(text, "\n")
		got := parsePrefer(lines)
		if got.wait < 0 || got.wait > maxWait || got.wait%time.Second != 0 || got.wait > 0 && !got.waits {
			t.Errorf("%q: %+v", text, got)
		}
		for _, line := range lines {
			if indexUnquoted(line+"\x00", 0) < 0 || strings.HasSuffix(line, `\`) {
				return // a line whose quotes are open
			}
		}
		if joined := parsePrefer([]string{strings.Join(lines, ",")}); joined != got {
			t.Errorf("%q: in lines %+v, in one %+v", text, got, joined)
		}
	})
}
