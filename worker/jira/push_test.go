package jira_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/jira/jiratest"
)

type object = map[string]any

func push(incident, comments string) string {
	return `{"subAction":"pushToService","subActionParams":{"incident":` + incident + `,"comments":` + comments + `}}`
}

func TestPushCreates(t *testing.T) {
	t.Parallel()
	both(t, jiratest.Options{}, func(t *testing.T, b *bundle) {
		got := b.succeed(t, push(`{"summary":"down","issueType":"10004","description":"a <b> & c"}`,
			`[{"commentId":"c1","comment":"first"},{"commentId":"c2","comment":""},{"commentId":"c3","comment":"third"}]`))
		same(t, "data", any(object{
			"id": "10000", "title": "CK-1", "url": b.URL() + "/browse/CK-1", "pushedDate": "2026-01-05T10:00:01.123Z",
			"comments": []any{
				object{"commentId": "c1", "pushedDate": "2026-01-05T10:00:02.123Z"},
				object{"commentId": "c3", "pushedDate": "2026-01-05T10:00:03.123Z"},
			},
		}), got)
		same(t, "issues", []jiratest.Issue{{ID: "10000", Key: "CK-1", Comments: []string{"first", "third"}, Fields: object{
			"summary": "down", "description": "a <b> & c", "project": object{"key": "CK"}, "issuetype": object{"id": "10004"},
		}}}, b.Issues())
		same(t, "calls", []string{
			"POST /rest/api/2/issue", "GET /rest/api/2/issue/10000",
			"POST /rest/api/2/issue/10000/comment", "POST /rest/api/2/issue/10000/comment",
		}, b.calls())
	})
}

func TestPushUpdates(t *testing.T) {
	t.Parallel()
	both(t, jiratest.Options{ZuluDates: true, ContextPath: "/jira"}, func(t *testing.T, b *bundle) {
		b.succeed(t, push(`{"summary":"down","issueType":"10004","description":"old","labels":["a"]}`, `null`))
		got := b.succeed(t, push(`{"summary":"up","externalId":"CK-1","labels":[],"description":null}`, `[]`))
		same(t, "data", any(object{
			"id": "10000", "title": "CK-1", "url": b.URL() + "/browse/CK-1", "pushedDate": "2026-01-05T10:00:02.123Z",
		}), got)
		same(t, "issues", []jiratest.Issue{{ID: "10000", Key: "CK-1", Fields: object{
			"summary": "up", "description": "old", "labels": []any{}, "project": object{"key": "CK"}, "issuetype": object{"id": "10004"},
		}}}, b.Issues())
		same(t, "calls", []string{
			"POST /jira/rest/api/2/issue", "GET /jira/rest/api/2/issue/10000",
			"PUT /jira/rest/api/2/issue/CK-1", "GET /jira/rest/api/2/issue/CK-1",
		}, b.calls())
	})
}

// One trailing slash of the address does not count, and what the requests carry.
func TestPushSendsCredentialsAndJSON(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	j := b.job(t, push(`{"summary":"down","issueType":"10004"}`, `null`))
	j.Config.APIURL += "/"
	data := b.succeedJob(t, j).(object)
	same(t, "url", b.URL()+"/browse/CK-1", data["url"].(string))
	for _, r := range b.Requests() {
		// The base64 of patchbay@example.com:jira-token-1234.
		same(t, "Authorization", "Basic cGF0Y2hiYXlAZXhhbXBsZS5jb206amlyYS10b2tlbi0xMjM0", r.Header.Get("Authorization"))
		same(t, "Accept", "application/json", r.Header.Get("Accept"))
		if r.Method == "POST" {
			same(t, "Content-Type", "application/json", r.Header.Get("Content-Type"))
			same(t, "body", decode(t, `{"fields":{"issuetype":{"id":"10004"},"project":{"key":"CK"},"summary":"down"}}`), decode(t, string(r.Body)))
		}
	}
}

func TestPushMapsFields(t *testing.T) {
	t.Parallel()
	const always = `"summary":"s","project":{"key":"CK"}`
	for incident, want := range map[string]string{
		`{"summary":"s"}`:                                            `{` + always + `,"issuetype":{"id":"10006"}}`, // the first type of the project
		`{"summary":"s","issueType":""}`:                             `{` + always + `,"issuetype":{"id":"10006"}}`,
		`{"summary":"s","issueType":"10011"}`:                        `{` + always + `,"issuetype":{"id":"10011"}}`,
		`{"summary":"title \n\n howdy \r test","issueType":"10004"}`: `{"summary":"title, howdy, test","project":{"key":"CK"},"issuetype":{"id":"10004"}}`,
		`{"summary":"s","issueType":"10004","description":"","priority":"","parent":"","labels":null,"otherFields":null}`: `{` + always +
			`,"issuetype":{"id":"10004"}}`,
		`{"summary":"s","issueType":"10004","priority":"High","labels":["a","b"]}`: `{` + always +
			`,"issuetype":{"id":"10004"},"priority":{"name":"High"},"labels":["a","b"]}`,
		`{"summary":"s","issueType":"10004","labels":[]}`: `{` + always + `,"issuetype":{"id":"10004"},"labels":[]}`,
		`{"summary":"s","issueType":"10006","otherFields":{"customfield_10003":1.50,"customfield_10001":"x"}}`: `{` + always +
			`,"issuetype":{"id":"10006"},"customfield_10003":1.50,"customfield_10001":"x"}`,
		`{"summary":"s","issueType":"10006","otherFields":"{\"customfield_10001\":\"y\"}"}`: `{` + always +
			`,"issuetype":{"id":"10006"},"customfield_10001":"y"}`,
		// Last, so that it wins.
		`{"summary":"s","issueType":"10006","otherFields":{"issuetype":{"id":"10004"}}}`: `{` + always + `,"issuetype":{"id":"10004"}}`,
	} {
		b := setup(t, jiratest.Options{})
		b.succeed(t, push(incident, `null`))
		for _, r := range b.Requests() {
			if r.Method == "POST" {
				same(t, incident, decode(t, `{"fields":`+want+`}`), decode(t, string(r.Body)))
			}
		}
	}
}

func TestPushCreatesASubtask(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	b.succeed(t, push(`{"summary":"s"}`, `null`))
	b.succeed(t, push(`{"summary":"t","issueType":"10007","parent":"CK-1"}`, `null`))
	same(t, "parent", any(object{"key": "CK-1"}), b.Issues()[1].Fields["parent"])
}

// An update changes the type only if it is told to.
func TestPushUpdateMapsFields(t *testing.T) {
	t.Parallel()
	for incident, want := range map[string]string{
		`{"summary":"a\r\nb","externalId":"10000"}`:                   `{"summary":"a, b","project":{"key":"CK"}}`,
		`{"summary":"s","externalId":"CK-1","issueType":"10004"}`:     `{"summary":"s","project":{"key":"CK"},"issuetype":{"id":"10004"}}`,
		`{"summary":"s","externalId":"CK-1","priority":"Low"}`:        `{"summary":"s","project":{"key":"CK"},"priority":{"name":"Low"}}`,
		`{"summary":"s","externalId":"CK-1","description":"\ttext "}`: `{"summary":"s","project":{"key":"CK"},"description":"\ttext "}`,
	} {
		b := setup(t, jiratest.Options{})
		b.succeed(t, push(`{"summary":"s"}`, `null`))
		b.succeed(t, push(incident, `null`))
		for _, r := range b.Requests() {
			if r.Method == "PUT" {
				same(t, incident, decode(t, `{"fields":`+want+`}`), decode(t, string(r.Body)))
			}
		}
	}
}

func TestPushTellsJirasRefusal(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	for incident, want := range map[string]string{
		`{"summary":" \n "}`:                                                          "Unable to create incident. Error: Request failed with status code 400. Reason: You must specify a summary of the issue.",
		`{"summary":"` + strings.Repeat("x", 256) + `"}`:                              "Unable to create incident. Error: Request failed with status code 400. Reason: Summary can't exceed 255 characters.",
		`{"summary":"s","externalId":"CK-9"}`:                                         "Unable to update incident with id CK-9. Error: Request failed with status code 404. Reason: Issue does not exist or you do not have permission to see it.",
		`{"summary":"s","issueType":"10004","otherFields":{"project":{"key":"NO"}}}`:  "Unable to create incident. Error: Request failed with status code 400. Reason: valid project is required",
		`{"summary":"s","issueType":"10004","otherFields":{"customfield_10002":"x"}}`: "Unable to create incident. Error: Request failed with status code 400. Reason: Specify a valid value for Impact",
	} {
		source := wire.User
		if strings.Contains(want, "404") {
			source = wire.Framework
		}
		_, got := b.run(t, b.job(t, push(incident, `null`)))
		same(t, incident, thrown("[Action][Jira]: "+want, wire.RetryNever(), source), got)
	}
}

// Ids that would lead elsewhere are refused, others escaped.
func TestHostileIDsStayInTheirPath(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	for id, why := range map[string]string{
		"":                       "the id is empty",
		".":                      "the id leads to another path",
		"..":                     "the id leads to another path",
		"../../../admin":         "the id leads to another path",
		`a\b`:                    "the id leads to another path",
		"CK-1/comment":           "the id leads to another path",
		"CK\n1":                  "the id has a control character",
		strings.Repeat("x", 256): "the id is longer than 255 bytes",
	} {
		quoted, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		for params, what := range map[string]string{
			`{"subAction":"getIncident","subActionParams":{"externalId":` + string(quoted) + `}}`: "get incident with id " + id,
			`{"subAction":"issue","subActionParams":{"id":` + string(quoted) + `}}`:               "get issue with id " + id,
			`{"subAction":"fieldsByIssueType","subActionParams":{"id":` + string(quoted) + `}}`:   "get fields",
			push(`{"summary":"s","externalId":`+string(quoted)+`}`, `null`):                       "update incident with id " + id,
		} {
			_, got := b.run(t, b.job(t, params))
			same(t, params, thrown("[Action][Jira]: Unable to "+what+". Error: "+why+". Reason: unknown: errorResponse was null",
				wire.RetryNever(), wire.Framework), got)
		}
	}
	if calls := b.calls(); len(calls) > 0 {
		t.Errorf("calls: %q, want none", calls)
	}
	for _, id := range []string{"a?b=c", "a#b", "a%2Fb", "a b", "ä;x=y", "createmeta"} {
		quoted, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		_, got := b.run(t, b.job(t, `{"subAction":"issue","subActionParams":{"id":`+string(quoted)+`}}`))
		if got == nil || !strings.Contains(got.ServiceMessage, "status code 40") {
			t.Errorf("id %q: %v, want Jira's refusal", id, got)
		}
		calls := b.calls()
		same(t, "path", "GET /rest/api/2/issue/"+url.PathEscape(id), calls[len(calls)-1])
	}
}
