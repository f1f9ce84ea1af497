package schema_test

import (
	"strings"
	"testing"
	"time"

	"patchbay.dev/shared/schema"
)

func TestCheckTakesOneValue(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`{}`, `[]`, `null`, `true`, `0`, `-1.0e+400`, `""`, `"ü"`,
		" \t\r\n{\"a\" : [1, 2]}\n",
		`{"a":1,"a":2}`,
		`"\ud800"`, // half a surrogate pair is JSON; it decodes to U+FFFD
	} {
		if err := schema.Check([]byte(data), schema.MaxDepth); err != nil {
			t.Errorf("Check(%s) = %v, want nil", data, err)
		}
	}
}

// The words come from the standard library, so that only where they point is
// held to.
func TestCheckTellsTheByteThatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, data, suffix string }{
		{"empty", "", "(byte 0)"},
		{"white space", " \n", "(byte 2)"},
		{"cut", `{"a":1`, "(byte 6)"},
		{"no value", `{"a":}`, "(byte 6)"},
		{"comma at the end", `[1,2,]`, "(byte 6)"},
		{"two values", `{} {}`, "(byte 4)"},
		{"two values without a space", `{}[]`, "(byte 3)"},
		{"single quotes", `{'a':1}`, "(byte 2)"},
		{"number with a leading zero", `01`, "(byte 2)"},
		{"line break in a string", "\"a\nb\"", "(byte 3)"},
		{"string that never ends", `"abc`, "(byte 4)"},
		{"string that ends in an escaped quote", `"abc\"`, "(byte 6)"},
		{"brackets that close only", `]]]]`, "(byte 1)"},
		{"byte order mark", "\xef\xbb\xbf{}", "(byte 1)"},
		{"UTF-8 cut in a string", "\"\xc3\"", "not valid UTF-8"},
		{"UTF-8 of half a surrogate pair", "{\"\xed\xa0\x80\":1}", "not valid UTF-8"},
		{"overlong UTF-8", "[\"\xc0\xaf\"]", "not valid UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := schema.Check([]byte(tt.data), schema.MaxDepth)
			if err == nil || !strings.HasSuffix(err.Error(), tt.suffix) {
				t.Errorf("Check(%q) = %v, want an error that ends with %q", tt.data, err, tt.suffix)
			}
		})
	}
}

func TestCheckLimitsDepth(t *testing.T) {
	t.Parallel()
	const limit = 3
	for _, tt := range []struct{ data, want string }{
		{`[[[]]]`, ""},
		{`{"a":[{}]}`, ""},
		{`[[[]],[[]],{"a":{}}]`, ""}, // side by side is not deeper
		{`[[[[]]]]`, "nested deeper than 3 levels (byte 3)"},
		{`{"a":[{"b":{}}]}`, "nested deeper than 3 levels (byte 11)"},
		{`[[[{`, "nested deeper than 3 levels (byte 3)"}, // before malformed
	} {
		if got := message(schema.Check([]byte(tt.data), limit)); got != tt.want {
			t.Errorf("Check(%s, %d) = %q, want %q", tt.data, limit, got, tt.want)
		}
	}
}

func TestCheckCountsNoBracketInsideStrings(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`["[[[[{{{{"]`,
		`["\"[[["]`,
		`["\\\"[[["]`,
		`["\\\\\"[[["]`,
		`{"[[[":"]]]"}`,
	} {
		if err := schema.Check([]byte(data), 1); err != nil {
			t.Errorf("Check(%s, 1) = %v, want nil", data, err)
		}
	}
}

// An even number of backslashes ends the string before its quote, an odd number
// does not: the bracket after it counts only in the first case.
func TestCheckKnowsWhereAStringEnds(t *testing.T) {
	t.Parallel()
	for backslashes := range 9 {
		data := `["` + strings.Repeat(`\`, backslashes) + `",[]`
		if backslashes%2 == 1 {
			data += `"` // still the string that began first
		}
		data += `]`
		want := ""
		if backslashes%2 == 0 {
			want = "nested deeper than 1 levels (byte " + itoa(len(data)-3) + ")"
		}
		if got := message(schema.Check([]byte(data), 1)); got != want {
			t.Errorf("Check(%s, 1) = %q, want %q", data, got, want)
		}
	}
}

func TestCheckRefusesHostileNestingFast(t *testing.T) {
	t.Parallel()
	const n = 200_000
	for name, data := range map[string]string{
		"arrays":                  strings.Repeat("[", n) + strings.Repeat("]", n),
		"objects":                 strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n),
		"open":                    strings.Repeat("[", n),
		"after a long string":     `["` + strings.Repeat(`\"`, n) + `",` + strings.Repeat("[", n),
		"after many closed pairs": "[" + strings.Repeat("[],", n) + strings.Repeat("[", n),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			err := schema.Check([]byte(data), schema.MaxDepth)
			if got := message(err); !strings.HasPrefix(got, "nested deeper than 64 levels (byte ") {
				t.Errorf("Check = %q, want nested deeper than 64 levels", got)
			}
			// A scan takes about a millisecond; the bound only tells it from a square.
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("Check took %v", took)
			}
		})
	}
}
