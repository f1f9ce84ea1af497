package index

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
)

func TestIndexNameArrivesLiterally(t *testing.T) {
	t.Parallel()
	names := []string{
		"a", "0", ".hidden", "...", "logs-nginx.access-default", "a_b-c+d", "a%2fb", "%2e%2e", "%", "a;b=c&d", "~a@b$c!d(e)'f",
		"été", "日本語", "\u2028", strings.Repeat("a", 255), strings.Repeat("é", 127) + "a",
		"{a}", "[a]", "a^b`c",
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, cluster := setup(t)
			if _, err := e.Execute(t.Context(), into(t, name, `{}`)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{`{}`}, lines(cluster.Documents(name))); diff != "" {
				t.Errorf("documents (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHostileIndexNameIsNotSent(t *testing.T) {
	t.Parallel()
	const signs = `must not contain the following characters [' ','"','*','\','<','|',',','>','/','?']`
	long := strings.Repeat("a", 256)
	tests := []struct{ name, want string }{
		{"", "must not be empty"},
		{".", "must not be '.' or '..'"},
		{"..", "must not be '.' or '..'"},
		{"../_security/user/x?y=1#", signs},
		{"a/b", signs},
		{"a/../b", signs},
		{`a\b`, signs},
		{"a?refresh=true", signs},
		{"logs-*", signs},
		{"a,b", signs},
		{"<logs-{now/d}>", signs},
		{`a"b`, signs},
		{"a|b", signs},
		{"a b", signs},
		{" a", signs},
		{"a#b", "must not contain '#'"},
		{"cluster:a", "must not contain ':'"},
		{"_all", "must not start with '_', '-', or '+'"},
		{"_bulk", "must not start with '_', '-', or '+'"},
		{"-a", "must not start with '_', '-', or '+'"},
		{"+a", "must not start with '_', '-', or '+'"},
		{"a\nb", "must not contain control characters"},
		{"a\r\nX-Evil: 1", signs},
		{"a\x00b", "must not contain control characters"},
		{"a\tb", "must not contain control characters"},
		{"a\u007fb", "must not contain control characters"},
		{"a\u0085b", "must not contain control characters"},
		{"Logs", "must be lowercase"},
		{"É", "must be lowercase"},
		{long, "index name is too long, (256 > 255)"},
		{strings.Repeat("é", 128), "index name is too long, (256 > 255)"},
	}
	e, cluster := setup(t)
	for _, test := range tests {
		_, err := e.Execute(t.Context(), into(t, test.name, `{}`))
		want := &wire.Failure{
			Message:        "error indexing documents",
			ServiceMessage: "Invalid index name [" + test.name + "], " + test.want,
			Source:         wire.User,
		}
		if diff := cmp.Diff(want, failure(t, err), comparable); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.name, diff)
		}
	}
	// The name in an override is the caller's, so the more to be checked.
	_, err := e.Execute(t.Context(), newJob(t, `{"index":"a"}`, `{"documents":[{}],"indexOverride":"kibana-alert-history-/../_all"}`))
	if got, want := failure(t, err).ServiceMessage, "Invalid index name [kibana-alert-history-/../_all], "+signs; got != want {
		t.Errorf("override: %q, want %q", got, want)
	}
	if got := cluster.Requests(); got != 0 {
		t.Errorf("%d requests arrived", got)
	}
}

func TestVeryLongIndexNameIsNotRepeatedWhole(t *testing.T) {
	t.Parallel()
	err := checkName("a" + strings.Repeat("é", 5000))
	want := "Invalid index name [a" + strings.Repeat("é", 149) + "…], index name is too long, (10001 > 255)"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}
