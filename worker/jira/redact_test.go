package jira

import (
	"strconv"
	"strings"
	"testing"

	"patchbay.dev/shared/connector"
)

func TestRedactorsAreThoseOfTheirSecrets(t *testing.T) {
	t.Parallel()
	var r redactors
	secretsOf := func(i int) connector.JiraSecrets {
		return connector.JiraSecrets{Email: "a@example.com", APIToken: "token-" + strconv.Itoa(i) + "-"}
	}
	for i := range 3 * keptRedactors {
		s, other := secretsOf(i), secretsOf(i+1)
		text := "before " + s.APIToken + " after " + other.APIToken
		want := "before [redacted] after " + other.APIToken
		made := r.of(s)
		if got := made.Replace(text); got != want {
			t.Fatalf("%q became %q, want %q", text, got, want)
		}
		if made != r.of(s) {
			t.Fatal("it was made anew")
		}
		if len(r.kept) > keptRedactors {
			t.Fatalf("%d are kept, want at most %d", len(r.kept), keptRedactors)
		}
	}
	r = redactors{}
	large := connector.JiraSecrets{Email: "a", APIToken: strings.Repeat("t", keptSecrets)}
	if got := r.of(large).Replace("<" + large.APIToken + ">"); got != "<[redacted]>" || len(r.kept) != 0 {
		t.Errorf("large ones: %q, %d kept", got, len(r.kept))
	}
	large.APIToken = large.APIToken[1:]
	if r.of(large); len(r.kept) != 1 {
		t.Error("those of just that size are not kept")
	}
}
