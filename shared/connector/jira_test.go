package connector_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"patchbay.dev/shared/connector"
)

const jiraSecrets = `{"email":"e","apiToken":"t"}`

func TestJiraNormalizes(t *testing.T) {
	t.Parallel()
	config, secrets, err := connector.Jira.Normalize([]byte(`"{\"projectKey\":\"CK\",\"apiUrl\":\"https://x.example/a?<b>\"}"`),
		[]byte(`{"apiToken":"t&","email":""}`), connector.AllHosts())
	if err != nil || string(config) != `{"apiUrl":"https://x.example/a?<b>","projectKey":"CK"}` || string(secrets) != `{"email":"","apiToken":"t&"}` {
		t.Errorf("Normalize = %s, %s, %v", config, secrets, err)
	}
	if !connector.Jira.HasSecrets() {
		t.Error("it has no secrets")
	}
}

func TestJiraRefusesConfigAndSecrets(t *testing.T) {
	t.Parallel()
	const config = `{"apiUrl":"https://x.example","projectKey":"CK"}`
	for _, tt := range []struct{ config, secrets, want string }{
		{`{}`, jiraSecrets, "type config: [apiUrl]: expected value of type [string] but got [undefined]"},
		{``, jiraSecrets, "type config: [apiUrl]: expected value of type [string] but got [undefined]"},
		{`{"apiUrl":1,"projectKey":"CK"}`, jiraSecrets, "type config: [apiUrl]: expected value of type [string] but got [number]"},
		{`{"apiUrl":"https://x.example"}`, jiraSecrets, "type config: [projectKey]: expected value of type [string] but got [undefined]"},
		{`{"apiUrl":"https://x.example","projectKey":null}`, jiraSecrets, "type config: [projectKey]: expected value of type [string] but got [null]"},
		{`{"apiUrl":"https://x.example","projectKey":"CK","apiToken":"t"}`, jiraSecrets, "type config: [apiToken]: definition for this key is missing"},
		{config, ``, "type secrets: [email]: expected value of type [string] but got [undefined]"},
		{config, `{}`, "type secrets: [email]: expected value of type [string] but got [undefined]"},
		{config, `{"email":"e"}`, "type secrets: [apiToken]: expected value of type [string] but got [undefined]"},
		{config, `{"email":null,"apiToken":"t"}`, "type secrets: [email]: expected value of type [string] but got [null]"},
		{config, `{"email":"e","apiToken":"t","x":1}`, "type secrets: [x]: definition for this key is missing"},
	} {
		_, _, err := connector.Jira.Normalize([]byte(tt.config), []byte(tt.secrets), connector.AllHosts())
		if got, want := message(nil, err), "error validating action "+tt.want; got != want {
			t.Errorf("Normalize(%s, %s)\n got %s\nwant %s", tt.config, tt.secrets, got, want)
		}
	}
}

func TestJiraChecksTheHost(t *testing.T) {
	t.Parallel()
	for url, allowed := range map[string]bool{
		"https://jira.example":            true,
		"https://JIRA.example:8443/jira/": true,
		"https://jira.example.evil":       false,
		"https://evil/?jira.example":      false,
		"jira.example":                    false,
		"":                                false,
		"%":                               false,
	} {
		_, _, err := connector.Jira.Normalize(fmt.Appendf(nil, `{"apiUrl":%q,"projectKey":"CK"}`, url), []byte(jiraSecrets), connector.Hosts{"jira.example"})
		want := ""
		if !allowed {
			want = fmt.Sprintf("error validating action type config: error configuring connector action: "+
				"target url %q is not added to the Patchbay config PATCHBAY_ALLOWED_HOSTS", url)
		}
		if got := message(nil, err); got != want {
			t.Errorf("apiUrl %q\n got %s\nwant %s", url, got, want)
		}
	}
}

func TestJiraDecodesParams(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	push := &connector.JiraPushToService{SubAction: "pushToService"}
	push.Params.Incident = connector.JiraIncident{
		Summary: "s", Description: text("d"), ExternalID: text(""), IssueType: text("1"), Priority: text("High"), Parent: text("CK-1"),
		Labels: &[]connector.JiraLabel{"a", ""}, OtherFields: &connector.JiraOtherFields{},
	}
	*push.Params.Incident.OtherFields = []byte(`{"a":1}`)
	push.Params.Comments = &[]connector.JiraComment{{Comment: "c", CommentID: "1"}}
	least := &connector.JiraPushToService{SubAction: "pushToService"}
	least.Params.Incident.Summary = ""
	getFields := &connector.JiraGetFields{SubAction: "getFields"}
	issue := &connector.JiraIssue{SubAction: "issue"}
	issue.Params.ID = "CK-1"
	handshake := &connector.JiraHandshake{SubAction: "handshake"}
	handshake.Params.ExternalID = "x"
	for params, want := range map[string]any{
		`{"subAction":"pushToService","subActionParams":{"incident":{"summary":"s","description":"d","externalId":"","issueType":"1","priority":"High",` +
			`"parent":"CK-1","labels":["a",""],"otherFields":"{\"a\":1}"},"comments":[{"comment":"c","commentId":"1"}]}}`: push,
		`{"subAction":"pushToService","subActionParams":{"incident":{"summary":""}}}`:                                                  least,
		`{"subAction":"pushToService","subActionParams":{"incident":{"summary":"","labels":null,"otherFields":null},"comments":null}}`: least,
		`{"subAction":"getFields","subActionParams":{}}`:                                                                               getFields,
		`{"subAction":"issueTypes","subActionParams":{}}`:                                                                              &connector.JiraIssueTypes{SubAction: "issueTypes"},
		`{"subAction":"issue","subActionParams":{"id":"CK-1"}}`:                                                                        issue,
		`{"subAction":"handshake","subActionParams":{"externalId":"x"}}`:                                                               handshake,
	} {
		got, err := connector.Jira.Params([]byte(params))
		if err != nil || !reflect.DeepEqual(got.Action, want) {
			t.Errorf("Params(%s) = %v\n got %s\nwant %s", params, err, asJSON(got.Action), asJSON(want))
		}
	}
}

func TestJiraRefusesParams(t *testing.T) {
	t.Parallel()
	push := func(incident string) string {
		return `{"subAction":"pushToService","subActionParams":{"incident":` + incident + `}}`
	}
	many := make([]string, 21)
	for i := range many {
		many[i] = fmt.Sprintf(`"f%d":0`, i)
	}
	twenty := push(`{"summary":"s","otherFields":{` + strings.Join(many[:20], ",") + `}}`)
	if _, err := connector.Jira.Params([]byte(twenty)); err != nil {
		t.Errorf("twenty other fields: %v", err)
	}
	for params, want := range map[string]string{
		`{"subAction":"issue","subActionParams":{}}`:               "[7.subActionParams.id]: expected value of type [string] but got [undefined]",
		`{"subAction":"issue","subActionParams":{"id":1}}`:         "[7.subActionParams.id]: expected value of type [string] but got [number]",
		`{"subAction":"issue","subActionParams":{"id":"1","x":1}}`: "[7.subActionParams.x]: definition for this key is missing",
		`{"subAction":"getFields","subActionParams":{"x":1}}`:      "[0.subActionParams.x]: definition for this key is missing",
		`{"subAction":"issueTypes","subActionParams":{"x":1}}`:     "[4.subActionParams.x]: definition for this key is missing",
		`{"subAction":"nope","subActionParams":{}}`:                "[0.subAction]: expected value to equal [getFields]",
		`{}`:       "[7.subAction]: expected value to equal [issue]",
		push(`{}`): "[3.subActionParams.incident.summary]: expected value of type [string] but got [undefined]",
		push(`{"summary":"s","labels":["a","b c"]}`):                            "[3.subActionParams.incident.labels.0.1]: The label b c cannot contain spaces",
		push(`{"summary":"s","labels":["a\u00a0b"]}`):                           "The label a\u00a0b cannot contain spaces",
		push(`{"summary":"s","otherFields":{"a":1,"priority":"x"}}`):            "The following properties cannot be defined inside otherFields: priority.",
		push(`{"summary":"s","otherFields":{"summary":1}}`):                     "The following properties cannot be defined inside otherFields: summary.",
		push(`{"summary":"s","otherFields":"{\"externalId\":1}"}`):              "The following properties cannot be defined inside otherFields: externalId.",
		push(`{"summary":"s","otherFields":{` + strings.Join(many, ",") + `}}`): "A maximum of 20 fields in otherFields can be defined at a time.",
		push(`{"summary":"s","otherFields":[]}`):                                "expected value of type [object] but got [Array]",
		push(`{"summary":"s","nope":1}`):                                        "[3.subActionParams.incident.nope]: definition for this key is missing",
		push(`{"summary":"s"},"comments":[{"comment":"c"}]`):                    "commentId]: expected value of type [string] but got [undefined]",
	} {
		_, err := connector.Jira.Params([]byte(params))
		got := message(nil, err)
		if !strings.HasPrefix(got, "error validating action params: types that failed validation:\n- [0.subAction") && params != `{}` || !strings.Contains(got, want) {
			t.Errorf("Params(%s)\n got %s\nwant it to tell %s", params, got, want)
		}
	}
}
