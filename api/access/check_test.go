package access

import (
	"strings"
	"testing"
	"time"
)

func TestExpirationIsElasticsearchsTime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"30d": 720 * time.Hour, "12h": 12 * time.Hour, "90m": 90 * time.Minute, "1s": time.Second,
		"36500d": 36500 * 24 * time.Hour, "876000h": 36500 * 24 * time.Hour,
	} {
		if got, err := ParseExpiration(text); got != want || err != nil {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "0d", "-1d", "1", "1.5h", "1y", "1 d", "36501d", "9999999999d", "99999999999999999999s", "1d ", "1ms"} {
		if got, err := ParseExpiration(text); err == nil || got != 0 {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}

func TestPrivilegesNameWhatIsWrong(t *testing.T) {
	t.Parallel()
	for field, p := range map[string]Privileges{
		"all":     {All: []string{"ok", "Not"}},
		"read":    {Read: []string{""}},
		"indices": {Read: []string{"*"}, Indices: []string{"ok", "a,b"}},
	} {
		if err := p.Check(); err == nil || !strings.HasPrefix(err.Error(), field+": ") {
			t.Errorf("%+v: %v, want %s", p, err, field)
		}
	}
	if err := (&Privileges{}).Check(); err == nil || err.Error() != "a key needs at least one of admin, all and read" {
		t.Errorf("no privilege: %v", err)
	}
	most := Privileges{Read: []string{"*"}, Indices: make([]string, maxPatterns)}
	for i := range most.Indices {
		most.Indices[i] = "a-*"
	}
	if err := most.Check(); err != nil {
		t.Errorf("%d patterns: %v", maxPatterns, err)
	}
	most.Indices = append(most.Indices, "b")
	if err := most.Check(); err == nil || err.Error() != "indices: at most 100 patterns are expected, not 101" {
		t.Errorf("%d patterns: %v", maxPatterns+1, err)
	}
	for _, p := range []Privileges{{Admin: true}, {Read: []string{"*"}}, {All: []string{"a-b_9"}, Read: []string{"*"}}, {Read: []string{"x"}, Indices: []string{"*"}}} {
		if err := p.Check(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestSpaceIDs(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"default": true, "a": true, "0_-": true, strings.Repeat("a", 64): true,
		"": false, "*": false, "A": false, "a.b": false, "a b": false, "ä": false, "a\n": false, strings.Repeat("a", 65): false,
	} {
		if got := IsSpace(id); got != want {
			t.Errorf("%q: %t, want %t", id, got, want)
		}
	}
}
