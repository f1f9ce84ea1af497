package access

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestLevelsIncludeThoseBefore(t *testing.T) {
	t.Parallel()
	keys := map[string]Privileges{
		"nothing":  {},
		"read":     {Read: []string{"ops"}},
		"all":      {All: []string{"ops"}},
		"readAny":  {Read: []string{EverySpace}},
		"allAny":   {All: []string{EverySpace}},
		"admin":    {Admin: true},
		"mixed":    {Read: []string{"dev"}, All: []string{"ops"}},
		"patterns": {Indices: []string{"*"}},
	}
	highest := map[string]map[string]Level{ // per space
		"nothing":  {"ops": Authenticated, "dev": Authenticated},
		"read":     {"ops": Read, "dev": Authenticated, "op": Authenticated, "opss": Authenticated, "": Authenticated},
		"all":      {"ops": All, "dev": Authenticated},
		"readAny":  {"ops": Read, "dev": Read},
		"allAny":   {"ops": All, "dev": All},
		"admin":    {"ops": Admin, "dev": Admin},
		"mixed":    {"ops": All, "dev": Read},
		"patterns": {"ops": Authenticated},
	}
	for name, privileges := range keys {
		for space, want := range highest[name] {
			for level := Anyone; level <= Admin; level++ {
				if got := privileges.Allow(level, space); got != (level <= want) {
					t.Errorf("%s in %q: level %d is allowed: %t", name, space, level, got)
				}
			}
		}
	}
	admin := Privileges{Admin: true}
	if admin.Allow(0, "ops") || admin.Allow(Admin+1, "ops") {
		t.Error("a level that there is not is allowed")
	}
}

func TestSecretsAreRandomAndMatchOnlyTheirKey(t *testing.T) {
	t.Parallel()
	now := time.Now()
	a, secretA := NewKey("a", Privileges{}, now, time.Time{})
	b, secretB := NewKey("b", Privileges{}, now, time.Time{})
	if a.ID == b.ID || secretA == secretB {
		t.Fatalf("two keys alike: %q %q", a.ID, b.ID)
	}
	if random, err := base64.RawURLEncoding.DecodeString(secretA); err != nil || len(random)*8 != 256 {
		t.Errorf("secret of %d bits, %v", len(random)*8, err)
	}
	if !a.Matches(secretA) || a.Matches(secretB) || a.Matches("") || a.Matches(secretA[:42]) || a.Matches(secretA+"x") {
		t.Error("a secret does not match its own key only")
	}
	if strings.Trim(a.ID, "abcdefghijklmnopqrstuvwxyz234567") != "" || len(a.ID) != 20 {
		t.Errorf("id %q", a.ID)
	}
}

func TestKeyExpiresAtItsTime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, test := range []struct {
		expires time.Time
		want    bool
	}{{time.Time{}, false}, {now.Add(1), false}, {now, true}, {now.Add(-1), true}} {
		if got := (&Key{Expires: test.expires}).Expired(now); got != test.want {
			t.Errorf("expires %v, now %v: expired %t", test.expires, now, got)
		}
	}
}

func TestEverySchemeCarriesTheSameCredential(t *testing.T) {
	t.Parallel()
	want := Credential{"id", "s:e/c+r?t"}
	for _, scheme := range []string{"ApiKey ", "apikey ", "Bearer ", "Basic ", "BASIC   "} {
		for _, encoded := range []string{want.Encoded(), strings.TrimRight(want.Encoded(), "=")} {
			if got, err := ParseAuthorization([]string{scheme + encoded}); got != want || err != nil {
				t.Errorf("%s%s: %v, %v", scheme, encoded, got, err)
			}
		}
	}
}

func TestMalformedCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, values := range [][]string{
		{"ApiKey"}, {"ApiKey "}, {"Digest " + encode("a:b")}, {encode("a:b")}, {"ApiKey !"}, {"ApiKey " + encode("ab")},
		{"ApiKey " + encode(":b")}, {"ApiKey " + encode("a:")}, {"ApiKey " + encode("a:b") + " x"}, {" ApiKey " + encode("a:b")},
		{"ApiKey " + encode("a:b"), "ApiKey " + encode("a:b")}, {"ApiKey\t" + encode("a:b")},
	} {
		if got, err := ParseAuthorization(values); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v, %v", values, got, err)
		}
	}
	for _, values := range [][]string{nil, {""}} {
		if _, err := ParseAuthorization(values); !errors.Is(err, ErrMissing) {
			t.Errorf("%q: %v", values, err)
		}
	}
}

func FuzzParseAuthorization(f *testing.F) {
	f.Add("ApiKey " + Credential{"id", "secret"}.Encoded())
	f.Add("Basic YTpi")
	f.Add("Bearer ")
	f.Fuzz(func(t *testing.T, header string) {
		c, err := ParseAuthorization([]string{header})
		if err != nil {
			if c != (Credential{}) {
				t.Errorf("%q: %v with an error", header, c)
			}
			return
		}
		if c.ID == "" || c.Secret == "" || strings.Contains(c.ID, ":") {
			t.Errorf("%q: %q", header, c)
		}
		if again, err := ParseAuthorization([]string{"ApiKey " + c.Encoded()}); again != c || err != nil {
			t.Errorf("%q: %v, encoded again %v, %v", header, c, again, err)
		}
	})
}
