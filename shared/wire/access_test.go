package wire_test

import (
	"encoding/json"
	"strings"
	"testing"

	"patchbay.dev/shared/wire"
)

func TestAccessAllows(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, index string
		want           bool
	}{
		{"alerts", "alerts", true},
		{"alerts", "alert", false},
		{"alerts", "alerts2", false},
		{"alerts", "my-alerts", false},
		{"alerts", "Alerts", false},
		{"alerts-*", "alerts-", true},
		{"alerts-*", "alerts-a-b", true},
		{"alerts-*", "alerts", false},
		{"alerts-*", "my-alerts-a", false},
		{"*", "anything", true},
		{"*", ".hidden", true},
		{"**", "a", true},
		{"*-prod", "logs-prod", true},
		{"*-prod", "logs-prod-prod", true},
		{"*-prod", "logs-prod-", false},
		{"logs-*-prod", "logs--prod", true},
		{"logs-*-prod", "logs-prod", false},
		{"*a*b*c*", "xxaxxcxxbxxcxx", true},
		{"*a*b*c*", "xxaxxcxxbxx", false},
		{"*ab", "aab", true},
		{"*aab", "aaab", true},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"a?c", "abbc", false},
		{"a?", "a", false},
		{"?", "é", true},
		{"?", "日", true},
		{"??", "é", false},
		{"???", "日", false},
		{"é*", "été", true},
		{"*é", "été", true},
		{"*??bc", "日bc", false}, // a * takes no part of a character
		{"*?bc", "日bc", true},
		{"?*", "a", true},
		{"?*", "", false},
		{"*?", "abc", true},
		{"logs-(a|b).+", "logs-a", false}, // no regular expressions
		{"logs.a", "logs-a", false},
		{"[a-z]", "b", false},
		{"<logs-{now/d}>", "<logs-{now/d}>", true}, // as it is given
		{"", "a", false},
		{"", "", true},
		{"-alerts", "alerts", false},
	} {
		a := &wire.Access{Indices: []string{tt.pattern}}
		if got := a.Allows(tt.index); got != tt.want {
			t.Errorf("%q allows %q = %t, want %t", tt.pattern, tt.index, got, tt.want)
		}
	}
}

func TestAnyPatternOfAnAccessAllows(t *testing.T) {
	t.Parallel()
	two := &wire.Access{Indices: []string{"alerts-*", "logs"}}
	for index, want := range map[string]bool{"alerts-a": true, "logs": true, "logs-a": false} {
		if got := two.Allows(index); got != want {
			t.Errorf("Allows(%q) = %t, want %t", index, got, want)
		}
	}
}

func TestNoAccessIsNoLimitAndNoPatternsAllowNothing(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{}`:                           true,
		`{"access":null}`:              true,
		`{"access":{}}`:                false,
		`{"access":{"key":"k"}}`:       false,
		`{"access":{"indices":[]}}`:    false,
		`{"access":{"indices":null}}`:  false,
		`{"access":{"indices":["*"]}}`: true,
	} {
		var request wire.Request
		if err := json.Unmarshal([]byte(body), &request); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if got := request.Access.Allows("a"); got != want {
			t.Errorf("%s: Allows = %t, want %t", body, got, want)
		}
	}
}

// To ignore a limit would be to run with more rights than the caller has.
func TestUnknownLimitIsRefused(t *testing.T) {
	t.Parallel()
	for body, reason := range map[string]string{
		`{"access":{"indices":["*"],"spaces":["a"]}}`: `unknown field "spaces"`,
		`{"access":{"indices":"*"}}`:                  "indices",
		`{"access":[]}`:                               "array",
		`{"access":"all"}`:                            "string",
		`{"access":false}`:                            "bool",
	} {
		var request wire.Request
		err := json.Unmarshal([]byte(body), &request)
		const want = "access limited in a way that is not known here, perhaps by a newer api: "
		if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v, want %s… %s", body, err, want, reason)
		}
	}
}

func TestCheckPattern(t *testing.T) {
	t.Parallel()
	const signs = `must not contain any of " \ < | , > / # :`
	for _, tt := range []struct{ pattern, want string }{
		{"alerts", ""},
		{"*", ""},
		{"?", ""},
		{".alerts-*", ""},
		{"a-b_c+d", ""},
		{"été-?", ""},
		{"(a|b)", `index pattern "(a|b)" ` + signs},
		{strings.Repeat("a", 255), ""},
		{strings.Repeat("a", 256), "an index pattern must not be longer than 255 bytes, this one has 256"},
		{"", "an index pattern must not be empty"},
		{"-alerts", `index pattern "-alerts" must not start with '_', '-' or '+'`},
		{"_all", `index pattern "_all" must not start with '_', '-' or '+'`},
		{"+a", `index pattern "+a" must not start with '_', '-' or '+'`},
		{"Alerts", `index pattern "Alerts" must be lowercase`},
		{"É*", `index pattern "É*" must be lowercase`},
		{"a,b", `index pattern "a,b" ` + signs},
		{"/logs-.*/", `index pattern "/logs-.*/" ` + signs},
		{`a\*`, `index pattern "a\\*" ` + signs},
		{"<logs-{now}>", `index pattern "<logs-{now}>" ` + signs},
		{"cluster:a", `index pattern "cluster:a" ` + signs},
		{"a b", `index pattern "a b" must not contain spaces or control characters`},
		{" a", `index pattern " a" must not contain spaces or control characters`},
		{"a\n", `index pattern "a\n" must not contain spaces or control characters`},
		{"a\x00", `index pattern "a\x00" must not contain spaces or control characters`},
		{"a\u2028", `index pattern "a\u2028" must not contain spaces or control characters`},
		{"a\xff", `index pattern "a\xff" must be UTF-8`},
	} {
		got := ""
		if err := wire.CheckPattern(tt.pattern); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("CheckPattern(%q)\n got %s\nwant %s", tt.pattern, got, tt.want)
		}
	}
}

// Not parallel: allocations of other tests would be counted.
func TestAccessAllowsWithoutAllocating(t *testing.T) { //nolint:paralleltest // see above
	a := &wire.Access{Indices: []string{"alerts-*", "*é?x*", "logs"}}
	if got := testing.AllocsPerRun(100, func() { a.Allows("kibana-alert-history-default") }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// A match that tried every split among the stars would not end.
func TestAccessAllowsEndsForManyStars(t *testing.T) {
	t.Parallel()
	a := &wire.Access{Indices: []string{strings.Repeat("*a", 127) + "b"}}
	if a.Allows(strings.Repeat("a", 255)) {
		t.Error("a name without b is allowed")
	}
}

func FuzzAccessAllows(f *testing.F) {
	for _, seed := range [][2]string{
		{"alerts-*", "alerts-a"}, {"*a?b*", "xxaxb"}, {"*??bc", "日bc"}, {"**", ""}, {"?é*", "aé"}, {"*a*a*b", "aaaaaa"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		// JSON brings nothing else.
		pattern, name = strings.ToValidUTF8(pattern, "?"), strings.ToValidUTF8(name, "é")
		a := &wire.Access{Indices: []string{pattern}}
		if got, want := a.Allows(name), byTable([]rune(pattern), []rune(name)); got != want {
			t.Errorf("%q allows %q = %t, want %t", pattern, name, got, want)
		}
		if wire.CheckPattern(pattern) == nil && !strings.ContainsAny(pattern, "*?") && !a.Allows(pattern) {
			t.Errorf("%q does not allow itself", pattern)
		}
	})
}

// byTable tells of all beginnings of name whether they match, for one sign of
// the pattern after the other.
func byTable(pattern, name []rune) bool {
	before := make([]bool, len(name)+1)
	before[0] = true
	for _, sign := range pattern {
		after := make([]bool, len(name)+1)
		for i := range after {
			if sign == '*' {
				after[i] = before[i] || i > 0 && after[i-1]
			} else {
				after[i] = i > 0 && before[i-1] && (sign == '?' || sign == name[i-1])
			}
		}
		before = after
	}
	return before[len(name)]
}
