package jiratest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/worker/jira/jiratest"
)

func TestFieldsAreRefusedInJirasWords(t *testing.T) {
	t.Parallel()
	const (
		taskHead = `{"fields":{"project":{"key":"CK"},"issuetype":{"id":"10006"},"summary":"s",`
		tooLong  = "The entered text is too long. It exceeds the allowed limit of 32,767 characters."
	)
	tests := []struct {
		name, body string
		want       map[string]string
	}{
		{"no summary", `{"fields":{"project":{"key":"CK"},"issuetype":{"id":"10006"}}}`,
			map[string]string{"summary": "You must specify a summary of the issue."}},
		{"empty summary", task(""), map[string]string{"summary": "You must specify a summary of the issue."}},
		{"long summary", task(strings.Repeat("x", 256)), map[string]string{"summary": "Summary can't exceed 255 characters."}},
		{"long for Java", task(strings.Repeat("😀", 128)), map[string]string{"summary": "Summary can't exceed 255 characters."}},
		{"line break", task("a\nb"), map[string]string{"summary": "The summary is invalid because it contains newline characters."}},
		{"no project, no type", `{"fields":{"summary":"s"}}`,
			map[string]string{"project": "Specify a valid project ID or key", "issuetype": "Specify an issue type"}},
		{"other project, other type", `{"fields":{"summary":"s","project":{"key":"XX"},"issuetype":{"id":"1"}}}`,
			map[string]string{"project": "valid project is required", "issuetype": "The issue type selected is invalid."}},
		{"empty type", `{"fields":{"summary":"s","project":{"key":"CK"},"issuetype":{"id":""}}}`,
			map[string]string{"issuetype": "The issue type selected is invalid."}},
		{"long description", taskHead + `"description":"` + strings.Repeat("x", 32768) + `"}}`, map[string]string{"description": tooLong}},
		{"description of rich text", taskHead + `"description":{"type":"doc"}}}`,
			map[string]string{"description": "Operation value must be a string"}},
		{"label with a space", taskHead + `"labels":["a b"]}}`,
			map[string]string{"labels": "The label 'a b' contains spaces which is invalid."}},
		{"labels as text", taskHead + `"labels":"a"}}`, map[string]string{"labels": "data was not an array"}},
		{"other priority", taskHead + `"priority":{"name":"Urgent"}}}`, map[string]string{"priority": "The priority selected is invalid."}},
		{"unknown fields", taskHead + `"customfield_1":1,"environment":"x"}}`, map[string]string{
			"customfield_1": "Field 'customfield_1' cannot be set. It is not on the appropriate screen, or unknown.",
			"environment":   "Field 'environment' cannot be set. It is not on the appropriate screen, or unknown.",
		}},
		{"number as text", taskHead + `"customfield_10003":"1"}}`, map[string]string{"customfield_10003": "Operation value must be a number"}},
		{"other parent", taskHead + `"parent":{"key":"CK-9"}}}`, map[string]string{"parent": "Could not find issue by id or key."}},
		{"sub-task without parent", `{"fields":{"project":{"key":"CK"},"issuetype":{"id":"10007"},"summary":"s"}}`,
			map[string]string{"parent": "Issue type is a sub-task but parent issue key or id not specified."}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := setup(t, jiratest.Options{})
			want, err := json.Marshal(map[string]any{"errorMessages": []string{}, "errors": test.want})
			if err != nil {
				t.Fatal(err)
			}
			var got, wanted any
			c.good("POST", "issue", test.body, 400).decode(t, &got)
			_ = json.Unmarshal(want, &wanted)
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if got := c.Issues(); got != nil {
				t.Errorf("issues %+v", got)
			}
			c.wantNoViolations()
		})
	}
}

func TestUpdateRefusesLikeCreateAndChangesNothing(t *testing.T) {
	t.Parallel()
	c := setup(t, jiratest.Options{})
	c.good("POST", "issue", task("one"), 201)
	before := c.Issues()
	for body, want := range map[string]string{
		`{"fields":{"summary":"a\nb"}}`:                                   "newline",
		`{"fields":{"summary":null}}`:                                     "must specify a summary",
		`{"fields":{"summary":"two","x":1}}`:                              "Field 'x' cannot be set",
		`{"fields":{"project":{"key":"XX"}}}`:                             "valid project is required",
		`{"fields":{"issuetype":{"id":"10007"},"priority":{"name":"x"}}}`: "priority selected",
	} {
		if got := c.good("PUT", "issue/CK-1", body, 400).Body; !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	if diff := cmp.Diff(before, c.Issues()); diff != "" {
		t.Errorf("issues (-before +after):\n%s", diff)
	}
	c.wantNoViolations()
}

func TestMissingIssuesAndEmptyCommentsAreRefused(t *testing.T) {
	t.Parallel()
	c := setup(t, jiratest.Options{})
	c.good("POST", "issue", task("one"), 201)
	const missing = `{"errorMessages":["Issue does not exist or you do not have permission to see it."],"errors":{}}`
	tests := []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "issue/CK-9", "", 404, missing},
		{"GET", "issue/a%3Fb%23c", "", 404, missing},
		{"PUT", "issue/9", `{"fields":{"summary":"x"}}`, 404, missing},
		{"POST", "issue/CK-9/comment", `{"body":"x"}`, 404, missing},
		{"GET", "issue/CK-9/comment", "", 404, missing},
		{"POST", "issue/CK-1/comment", `{"body":" "}`, 400, `{"errorMessages":[],"errors":{"comment":"Comment body can not be empty!"}}`},
		{"POST", "issue/CK-1/comment", `{"body":"` + strings.Repeat("x", 32768) + `"}`, 400,
			`{"errorMessages":[],"errors":{"comment":"The entered text is too long. It exceeds the allowed limit of 32,767 characters."}}`},
		{"GET", "issue/createmeta/XX/issuetypes", "", 400, `{"errorMessages":["No project could be found with key 'XX'."],"errors":{}}`},
		{"GET", "issue/createmeta/CK/issuetypes/1", "", 400, `{"errorMessages":["The issue type with id '1' does not exist."],"errors":{}}`},
	}
	for _, test := range tests {
		if got := c.good(test.method, test.path, test.body, test.status); got.Body != test.want {
			t.Errorf("%s %s: %s, want %s", test.method, test.path, got.Body, test.want)
		}
	}
	c.wantNoViolations()
}

func TestServerSeesEveryBreach(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method, path, body string
		dataCenter               bool
		status                   int
		want                     string // of the violation
	}{
		{"other path", "GET", "issues", "", false, 404, "unknown path"},
		{"out of the API", "GET", "../../../admin", "", false, 404, "dot segment"},
		{"escaped dots", "GET", "issue/%2e%2e", "", false, 404, "dot segment"},
		{"empty segment", "GET", "issue//comment", "", false, 404, "empty or a dot"},
		{"no id", "GET", "issue/", "", false, 404, "empty or a dot"},
		{"escaped slash", "GET", "issue/a%2Fb", "", false, 400, "escaped slash"},
		{"escaped backslash", "GET", "issue/a%5Cb", "", false, 400, "escaped slash"},
		{"other method", "DELETE", "issue/CK-1", "", false, 405, "unknown method"},
		{"old createmeta", "GET", "issue/createmeta/CK", "", false, 404, "unknown path"},
		{"unknown parameter", "GET", "serverInfo?x=1", "", false, 200, "unknown parameter x"},
		{"question mark in an id", "GET", "issue/CK-1?expand=x", "", false, 404, "unknown parameter expand"},
		{"parameter twice", "GET", "issue/createmeta/CK/issuetypes?startAt=0&startAt=1", "", false, 200, "startAt comes twice"},
		{"bad paging", "GET", "issue/createmeta/CK/issuetypes?startAt=-1", "", false, 400, "no number that counts"},
		{"bad token", "GET", "search/jql?jql=project%3DCK&nextPageToken=x", "", false, 400, "next page token"},
		{"startAt for Cloud", "GET", "search/jql?jql=project%3DCK&startAt=1", "", false, 200, "unknown parameter startAt"},
		{"startAt for Cloud in a body", "POST", "search/jql", `{"jql":"project=CK","startAt":1}`, false, 400, "unknown member startAt"},
		{"token for Data Center", "GET", "search?jql=project%3DCK&nextPageToken=x", "", true, 200, "unknown parameter nextPageToken"},
		{"malformed JQL", "GET", "search/jql?jql=project", "", false, 400, "Expecting operator"},
		{"no JQL", "GET", "search?jql=", "", true, 400, "Unbounded"},
		{"body of a GET", "GET", "issue/CK-1", "{}", false, 400, "a GET has a body"},
		{"body that is no JSON", "POST", "issue", "{", false, 400, "not what is expected"},
		{"two values", "POST", "issue", "{}{}", false, 400, "more than one JSON value"},
		{"no fields", "POST", "issue", "{}", false, 400, "fields is no object"},
		{"other member", "PUT", "issue/CK-1", `{"fields":{},"update":{}}`, false, 400, "unknown member update"},
		{"empty author", "POST", "issue/CK-1/comment", `{"body":"x","author":{}}`, false, 400, "unknown member author"},
		{"rich comment", "POST", "issue/CK-1/comment", `{"body":{}}`, false, 400, "body is no string"},
		{"no such fault", "GET", "issue/fault-x", "", false, 400, "there is no fault of the name fault-x"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := setup(t, jiratest.Options{DataCenter: test.dataCenter})
			if got := c.send(test.method, test.path, test.body); got.Status != test.status {
				t.Errorf("status %d, want %d: %s", got.Status, test.status, got.Body)
			}
			if got := c.Violations(); len(got) != 1 || !strings.Contains(got[0], test.want) {
				t.Errorf("violations %q, want %q", got, test.want)
			}
			if got := c.Issues(); got != nil {
				t.Errorf("issues %+v", got)
			}
		})
	}
}

func TestBodyMustSayThatItIsJSON(t *testing.T) {
	t.Parallel()
	c := setup(t, jiratest.Options{})
	r, err := http.NewRequestWithContext(t.Context(), "POST", c.URL()+"/rest/api/2/issue", strings.NewReader(task("one")))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("patchbay@example.com", "jira-token-1234")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != 415 || len(c.Violations()) != 1 || c.Issues() != nil {
		t.Errorf("%s, violations %q", response.Status, c.Violations())
	}
}
