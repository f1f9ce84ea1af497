package jira_test

import (
	"net/netip"
	"testing"

	gojira "github.com/andygrunwald/go-jira"

	"patchbay.dev/shared/connector"
	"patchbay.dev/worker/jira"
	"patchbay.dev/worker/jira/jiratest"
	"patchbay.dev/worker/outbound"
	"patchbay.dev/worker/pool"
)

// BenchmarkIssueTypes reads the issue types through the executor and, beside it,
// with go-jira alone: what is between the two is the price of the guard, the
// limits and the checks.
func BenchmarkIssueTypes(b *testing.B) {
	server := jiratest.StartWith(jiratest.Options{Discard: true})
	defer server.Close()
	layer := outbound.New(outbound.Policy{Hosts: connector.AllHosts(), CIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, MaxResponse: 1 << 20})
	defer layer.Close()

	b.Run("executor", func(b *testing.B) {
		executor := jira.New(layer)
		job := pool.Job[connector.JiraConfig, connector.JiraSecrets, connector.JiraParams]{
			Config:  connector.JiraConfig{APIURL: server.URL(), ProjectKey: "CK"},
			Secrets: connector.JiraSecrets{Email: "patchbay@example.com", APIToken: "jira-token-1234"},
			Params:  connector.JiraParams{Action: new(connector.JiraIssueTypes)},
		}
		for b.Loop() {
			if _, err := executor.Execute(b.Context(), job); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("go-jira", func(b *testing.B) {
		transport := gojira.BasicAuthTransport{Username: "patchbay@example.com", Password: "jira-token-1234"}
		client, err := gojira.NewClient(transport.Client(), server.URL())
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			request, err := client.NewRequestWithContext(b.Context(), "GET", "rest/api/2/issue/createmeta/CK/issuetypes", nil)
			if err != nil {
				b.Fatal(err)
			}
			var answer struct {
				IssueTypes []struct{ ID, Name string } `json:"issueTypes"`
			}
			response, err := client.Do(request, &answer)
			if err != nil || len(answer.IssueTypes) == 0 {
				b.Fatal(err, answer)
			}
			_ = response.Body.Close()
		}
	})
}
