package schema

import (
	"encoding/json"
	"strings"
	"testing"
)

var texts = []string{
	"", " ", "null", "true", "false", "nul", "truefalse", "nulll", "1", "-", "-0", "01", "1.", ".1", "1.5e", "1e+", "1e+5", "-1.5E-10", "1 2", "0x1", "+1", "NaN",
	`""`, `"`, `"\"`, `"\\"`, `"\u12"`, `"\u12G4"`, `"\u00e4\/\b"`, `"\x"`, "\"\n\"", "\"\x7f\xff\"", `"a" "b"`,
	"{}", "[]", "{ }", "[ ]", "{", "[", "]", "}", "[}", "{]", "[,]", "[1,]", "[,1]", "[1 2]", "[1,2]", " [ 1 , [ ] , { } ] ",
	`{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{1:2}`, `{"a":1 "b":2}`, `{"a":1,"b":[{"c":null}]}`, `{"a" : 1 , "b" : 2 }x`, `{"a":1}}`,
	"\u00a0null", "\ufeffnull", "\v1", "[[[[[]]]]]", strings.Repeat("[", 70) + strings.Repeat("]", 70),
}

func TestWellFormedIsWhatEncodingJSONTakes(t *testing.T) {
	t.Parallel()
	for _, text := range texts {
		if got, want := wellFormed([]byte(text), 1000), json.Valid([]byte(text)); got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
}

func TestWellFormedCountsLevels(t *testing.T) {
	t.Parallel()
	for depth := range 200 {
		for _, bracket := range []string{"[]", `{"a":}`} {
			text := strings.Repeat(bracket[:len(bracket)-1], depth) + "1" + strings.Repeat(bracket[len(bracket)-1:], depth)
			if got := wellFormed([]byte(text), 100); got != (depth <= 100) {
				t.Errorf("%d levels of %s: %t", depth, bracket, got)
			}
		}
	}
}

// Eight bytes are looked at together: what stops a string may stand at any of them.
func TestWellFormedSeesEveryByteOfAString(t *testing.T) {
	t.Parallel()
	for length := range 20 {
		for at := range length {
			for _, sign := range []string{"\n", "\x00", "\x1f", " ", "!", "\"", "#", "[", "\\", "\\\\", "\\n", "]", "\x7f", "\x80", "\xdc", "\xff"} {
				text := `"` + strings.Repeat("a", at) + sign + strings.Repeat("a", length-at) + `"`
				if got, want := wellFormed([]byte(text), 1), json.Valid([]byte(text)); got != want {
					t.Errorf("%q: %t, want %t", text, got, want)
				}
			}
		}
	}
}

func FuzzWellFormed(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, want := wellFormed(data, 10_000), json.Valid(data); got != want {
			t.Errorf("%q: %t, want %t", data, got, want)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	data := []byte(`{"params":{"documents":[` + strings.TrimSuffix(strings.Repeat(`{"message":"High CPU on web-3: 97 % for 10 minutes","host":{"name":"web-3"},"value":0.97,"ok":true},`, 64), ",") + `]}}`)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if err := Check(data, MaxDepth); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodingJSONValid(b *testing.B) {
	data := []byte(`{"params":{"documents":[` + strings.TrimSuffix(strings.Repeat(`{"message":"High CPU on web-3: 97 % for 10 minutes","host":{"name":"web-3"},"value":0.97,"ok":true},`, 64), ",") + `]}}`)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		json.Valid(data)
	}
}
