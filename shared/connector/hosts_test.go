package connector_test

import (
	"strings"
	"testing"

	"patchbay.dev/shared/connector"
)

func TestHostsAreExactNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		hosts connector.Hosts
		url   string
		want  bool
	}{
		{connector.AllHosts(), "https://anything.example", true},
		{connector.AllHosts(), "no url at all", true},
		{nil, "https://jira.example.com", false},
		{connector.Hosts{"jira.example.com"}, "https://jira.example.com", true},
		{connector.Hosts{"jira.example.com"}, "http://JIRA.example.com:8080/x?y", true},
		{connector.Hosts{"Jira.Example.com"}, "https://jira.example.com", true},
		{connector.Hosts{"jira.example.com"}, "https://sub.jira.example.com", false},
		{connector.Hosts{"jira.example.com"}, "https://jira.example.com.evil.example", false},
		{connector.Hosts{"jira.example.com"}, "https://evil.example/jira.example.com", false},
		{connector.Hosts{"jira.example.com"}, "jira.example.com", false},
		{connector.Hosts{"jira.example.com"}, "", false},
		{connector.Hosts{"127.0.0.1"}, "http://127.0.0.1:9", true},
	} {
		err := test.hosts.Check(test.url)
		want := `target url "` + test.url + `" is not added to the Patchbay config PATCHBAY_ALLOWED_HOSTS`
		if (err == nil) != test.want || err != nil && err.Error() != want {
			t.Errorf("%q: Check(%q) = %v, want it allowed: %t", test.hosts, test.url, err, test.want)
		}
	}
}

func TestJiraURLHoldsNoCredentials(t *testing.T) {
	t.Parallel()
	for _, hosts := range []connector.Hosts{connector.AllHosts(), {"jira.example.com"}, nil} {
		for _, url := range []string{
			"https://user:s3cret@jira.example.com", "https://user:s3cret@h:x", " https://user:s3cret@h", "https://user:s3%zzcret@h",
		} {
			_, _, err := connector.Jira.Normalize([]byte(`{"apiUrl":"`+url+`","projectKey":"K"}`), []byte(`{"email":"e","apiToken":"t"}`), hosts)
			if err == nil || strings.Contains(err.Error(), "cret@") || !strings.HasPrefix(err.Error(), "error validating action type config: ") {
				t.Errorf("%s with %q: %v, want a refusal that does not repeat the password", url, hosts, err)
			}
		}
	}
}
