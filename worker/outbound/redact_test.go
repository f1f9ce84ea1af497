package outbound

import (
	"strings"
	"testing"
)

func TestRedactorFindsEveryFormOfASecret(t *testing.T) {
	t.Parallel()
	const secret = "p/w+\"<é😀>&~(1) z?"
	r := Redactor(append(BasicAuth("me@x", secret), "", "abc", "p/w+")...)
	tests := []string{
		secret,
		"p%2Fw%2B%22%3C%C3%A9%F0%9F%98%80%3E%26~%281%29+z%3F",   // in a query
		"p%2fw%2b%22%3c%c3%a9%f0%9f%98%80%3e%26~%281%29+z%3f",   // in small letters
		"p%2Fw%2B%22%3C%C3%A9%F0%9F%98%80%3E%26~%281%29%20z%3F", // in a query of others
		"p%2Fw%2B%22%3C%C3%A9%F0%9F%98%80%3E%26~(1)%20z%3F",     // JavaScript's encodeURIComponent
		"p%2Fw+%22%3C%C3%A9%F0%9F%98%80%3E&~%281%29%20z%3F",     // in a path
		`p/w+\"<é😀>&~(1) z?`,                                    // in JSON
		`p/w+\"\u003cé😀\u003e\u0026~(1) z?`,
		`p\/w+\"<é😀>&~(1) z?`,
		`p/w+\"<\u00e9\ud83d\ude00>&~(1) z?`,
		"p/w+&#34;&lt;é😀&gt;&amp;~(1) z?", // in HTML
		"cC93KyI8w6nwn5iAPiZ+KDEpIHo/",    // base64
		"cC93KyI8w6nwn5iAPiZ-KDEpIHo_",
		"bWVAeDpwL3crIjzDqfCfmIA+Jn4oMSkgej8=", // and of the pair
		"bWVAeDpwL3crIjzDqfCfmIA-Jn4oMSkgej8",
		"me@x:" + secret,
		"p/w+",
	}
	for _, form := range tests {
		if got := r.Replace("before " + form + " after"); got != "before [redacted] after" {
			t.Errorf("%s: %s", form, got)
		}
	}
	const harmless = "abc me@x p/w cC93 nothing"
	if got := r.Replace(harmless); got != harmless {
		t.Errorf("%q became %q", harmless, got)
	}
}

// The longer of two secrets that begin alike must not leave its rest.
func TestRedactorTakesTheLongestFirst(t *testing.T) {
	t.Parallel()
	for _, secrets := range [][]string{{"token", "token-and-more"}, {"token-and-more", "token"}} {
		if got, want := Redactor(secrets...).Replace("token-and-more token"), "[redacted] [redacted]"; got != want {
			t.Errorf("%q: %s, want %s", secrets, got, want)
		}
	}
}

func FuzzRedactor(f *testing.F) {
	f.Add("hunter2", "hunter2hunter2")
	f.Add("p/w é", "\xff\xfe\xfd\xfc")
	f.Fuzz(func(t *testing.T, a, b string) {
		r := Redactor(a, b)
		for _, s := range []string{a, b} {
			if len(s) < minSecret {
				continue
			}
			for _, form := range forms(s) {
				for rest := range strings.SplitSeq(r.Replace("<"+form+">"), "[redacted]") {
					if strings.Contains(rest, s) || strings.Contains(rest, form) {
						t.Errorf("%q and %q: %q leaves %q", a, b, form, rest)
					}
				}
			}
		}
	})
}
