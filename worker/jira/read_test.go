package jira_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/jira/jiratest"
)

const issuesOf = `{"subAction":"issues","subActionParams":{"title":%s}}`

func TestGetIncidentFlattensTheIssue(t *testing.T) {
	t.Parallel()
	both(t, jiratest.Options{}, func(t *testing.T, b *bundle) {
		b.succeed(t, push(`{"summary":"down","issueType":"10006","otherFields":{"customfield_10003":1.5}}`, `null`))
		got := b.succeed(t, `{"subAction":"getIncident","subActionParams":{"externalId":"CK-1"}}`).(object)
		for name, want := range (object{
			"id": "10000", "key": "CK-1", "summary": "down", "customfield_10003": 1.5, "description": nil, "labels": []any{},
			"created": "2026-01-05T10:00:01.123+0000", "updated": "2026-01-05T10:00:01.123+0000",
			"status": object{"id": "10000", "name": "To Do"},
		}) {
			same(t, name, want, got[name])
		}
		if _, ok := got["fields"]; ok {
			t.Error("fields are there a second time")
		}
	})
}

func TestIssueTellsTheTitle(t *testing.T) {
	t.Parallel()
	both(t, jiratest.Options{}, func(t *testing.T, b *bundle) {
		b.succeed(t, push(`{"summary":"a <b>"}`, `null`))
		same(t, "issue", any(object{"id": "10000", "key": "CK-1", "title": "a <b>"}),
			b.succeed(t, `{"subAction":"issue","subActionParams":{"id":"10000"}}`))
	})
}

func TestIssueTypesAreReadToTheEnd(t *testing.T) {
	t.Parallel()
	both(t, jiratest.Options{PageSize: 3}, func(t *testing.T, b *bundle) {
		same(t, "types", any([]any{
			object{"id": "10006", "name": "Task"}, object{"id": "10007", "name": "Sub-task"},
			object{"id": "10004", "name": "Bug"}, object{"id": "10011", "name": "Incident"},
		}), b.succeed(t, `{"subAction":"issueTypes","subActionParams":{}}`))
	})
}

func TestFieldsAreReadToTheEnd(t *testing.T) {
	t.Parallel()
	both(t, jiratest.Options{PageSize: 2}, func(t *testing.T, b *bundle) {
		got := b.succeed(t, `{"subAction":"fieldsByIssueType","subActionParams":{"id":"10011"}}`).(object)
		same(t, "names", []string{"customfield_10001", "customfield_10002", "customfield_10003", "description", "issuetype", "labels",
			"parent", "project", "summary"}, keys(got))
		cost := got["customfield_10003"].(object)
		same(t, "members of a field", []string{"allowedValues", "defaultValue", "name", "required", "schema"}, keys(cost))
		same(t, "allowedValues", any([]any{}), cost["allowedValues"])
		same(t, "defaultValue", any(object{}), cost["defaultValue"])
		same(t, "name", any("Cost"), cost["name"])
		same(t, "required", any(false), cost["required"])
		same(t, "required", any(true), got["summary"].(object)["required"])
		impacts := got["customfield_10002"].(object)["allowedValues"].([]any)
		same(t, "allowed values", 2, len(impacts))
	})
}

func TestGetFieldsTellsWhatAllTypesHave(t *testing.T) {
	t.Parallel()
	both(t, jiratest.Options{PageSize: 3}, func(t *testing.T, b *bundle) {
		got := b.succeed(t, `{"subAction":"getFields","subActionParams":{}}`).(object)
		same(t, "names", []string{"customfield_10001", "description", "issuetype", "labels", "parent", "project", "summary"}, keys(got))
		same(t, "of the first type", any(false), got["parent"].(object)["required"]) // Sub-task, the second, demands it
	})
}

func TestIssuesAreReadToTheEnd(t *testing.T) {
	t.Parallel()
	both(t, jiratest.Options{PageSize: 2}, func(t *testing.T, b *bundle) {
		for i := range 5 {
			b.succeed(t, push(fmt.Sprintf(`{"summary":"disk %d is full"}`, i), `null`))
		}
		b.succeed(t, push(`{"summary":"disk is slow"}`, `null`))
		got := b.succeed(t, fmt.Sprintf(issuesOf, `"Full disk"`)).([]any)
		same(t, "found", 5, len(got))
		for _, one := range got {
			same(t, "members", []string{"id", "key", "title"}, keys(one.(object)))
		}
		same(t, "nothing found", any([]any{}), b.succeed(t, fmt.Sprintf(issuesOf, `"nowhere"`)))
	})
}

// Which search an address has is found out once.
func TestSearchOfDataCenterIsRemembered(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{DataCenter: true})
	for range 3 {
		b.succeed(t, fmt.Sprintf(issuesOf, `"x"`))
	}
	same(t, "calls", []string{
		"GET /rest/api/2/search/jql", "GET /rest/api/2/search", "GET /rest/api/2/search", "GET /rest/api/2/search",
	}, b.calls())
}

func TestIssuesSendsKibanasQuery(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	b.succeed(t, fmt.Sprintf(issuesOf, `"it's down"`))
	same(t, "URI", "/rest/api/2/search/jql?jql=project%3D%22CK%22%20and%20summary%20~%22it%27s%20down%22&fields=summary,key&maxResults=200",
		b.Requests()[0].URI)
}

func TestHandshakeIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	_, got := b.run(t, b.job(t, `{"subAction":"handshake","subActionParams":{"externalId":"1"}}`))
	same(t, "failure", thrown("[Action][ExternalService] subAction handshake not implemented.", wire.RetryNever(), wire.Framework), got)
}

func TestConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	for name, tt := range map[string]struct {
		change func(*job)
		want   string
	}{
		"no URL":      {func(j *job) { j.Config.APIURL = "" }, "[Action]Jira: Wrong configuration."},
		"no project":  {func(j *job) { j.Config.ProjectKey = "" }, "[Action]Jira: Wrong configuration."},
		"no email":    {func(j *job) { j.Secrets.Email = "" }, "[Action]Jira: Wrong configuration."},
		"no token":    {func(j *job) { j.Secrets.APIToken = "" }, "[Action]Jira: Wrong configuration."},
		"other file":  {func(j *job) { j.Config.APIURL = "file:///etc/passwd" }, "[Action][Jira]: the URL does not begin with http:// or https://"},
		"query":       {func(j *job) { j.Config.APIURL += "?a=b" }, "[Action][Jira]: apiUrl must have no query and no fragment"},
		"fragment":    {func(j *job) { j.Config.APIURL += "#a" }, "[Action][Jira]: apiUrl must have no query and no fragment"},
		"a project's": {func(j *job) { j.Config.ProjectKey = "../x" }, "[Action][Jira]: Unable to get issue types. Error: the id leads to another path. Reason: unknown: errorResponse was null"},
	} {
		j := b.job(t, `{"subAction":"issueTypes","subActionParams":{}}`)
		tt.change(&j)
		_, got := b.run(t, j)
		same(t, name, thrown(tt.want, wire.RetryNever(), wire.Framework), got)
	}
	if calls := b.calls(); len(calls) > 0 {
		t.Errorf("calls: %q, want none", calls)
	}
}

// The stand-in refuses a text that has a meaning, and a query that it does not
// understand.
func TestNoTitleChangesTheQuery(t *testing.T) {
	t.Parallel()
	both(t, jiratest.Options{}, func(t *testing.T, b *bundle) {
		b.succeed(t, push(`{"summary":"secret plans"}`, `null`))
		for _, title := range []string{
			`x" OR project = "CK`, `x\" OR summary ~ \"secret`, `secret" ORDER BY created`, `\`, `\\`, `"`, `'`, `a\`, `x*`, `*`, `?`,
			`NOT x`, `x OR secret`, `x AND y`, `x || secret`, `!x`, `-x`, `+x`, `[a TO z]`, `{a TO z}`, `summary:secret`, `x~1`, `x^2`, `(x)`, `/x/`, "a\nb\tc\rd\x00e\x7f",
			"x\u2028OR\u2028secret",
		} {
			quoted, err := json.Marshal(title)
			if err != nil {
				t.Fatal(err)
			}
			if got := b.succeed(t, fmt.Sprintf(issuesOf, quoted)).([]any); len(got) > 0 {
				t.Errorf("title %q finds %v", title, got)
			}
		}
		for _, title := range []string{`"secret" plans!`, `(SECRET) plans?`, `plans - secret`} {
			quoted, err := json.Marshal(title)
			if err != nil {
				t.Fatal(err)
			}
			if got := b.succeed(t, fmt.Sprintf(issuesOf, quoted)).([]any); len(got) != 1 {
				t.Errorf("title %q finds %v, want the one", title, got)
			}
		}
	})
}

func keys(o object) []string { return slices.Sorted(maps.Keys(o)) }
