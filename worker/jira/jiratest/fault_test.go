package jiratest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/worker/jira/jiratest"
)

// want is what a fault does to a create: its answer, and whether the issue is made.
type want struct {
	status     int // 0 for no answer
	retryAfter string
	kind       string // of the content
	has        string // part of the body
	made       bool
}

const asJSON = "application/json;charset=UTF-8"
const asHTML = "text/html;charset=UTF-8"

var createFaults = map[string]want{
	"fault-400": {status: 400, kind: asJSON, has: `{"errorMessages":[],"errors":{"components":"Component name 'x' is not valid",` +
		`"duedate":"Error parsing date string: tomorrow"}}`},
	"fault-400-messages": {status: 400, kind: asJSON, has: `{"errorMessages":["The first thing is wrong.","The second thing is wrong."],` +
		`"errors":{"summary":"It is wrong as well."}}`},
	"fault-401-html":      {status: 401, kind: asHTML, has: "<h1>Encountered a"},
	"fault-403":           {status: 403, kind: asJSON, has: `{"errorMessages":["You do not have permission`},
	"fault-404":           {status: 404, kind: asJSON, has: `{"errorMessages":["Issue does not exist`},
	"fault-429":           {status: 429, kind: asJSON, retryAfter: "5", has: `{"errorMessages":["Rate limit exceeded."]`},
	"fault-429-date":      {status: 429, kind: asJSON, retryAfter: "a date", has: `{"errorMessages":["Rate limit exceeded."]`},
	"fault-429-bare":      {status: 429},
	"fault-500-html":      {status: 500, kind: asHTML, has: "<h1>Internal Server Error"},
	"fault-503-in-5":      {status: 503, kind: asJSON, retryAfter: "5", has: "temporarily unavailable"},
	"fault-echo":          {status: 400, kind: asJSON, has: `{"errorMessages":["Header Basic `},
	"fault-cut":           {made: true},
	"fault-reset":         {made: true},
	"fault-large":         {status: 201, kind: asJSON, has: `xx","id":"10000","key":"CK-1",`, made: true},
	"fault-html":          {status: 200, kind: asHTML, has: "Log in to continue"},
	"fault-no-key":        {status: 201, kind: asJSON, has: `{"no_id":"10000","no_key":"CK-1","self":`, made: true},
	"fault-array":         {status: 200, kind: asJSON, has: `[{"id":`},
	"fault-redirect":      {status: 302},
	"fault-get-fails":     {status: 201, kind: asJSON, has: `{"id":"10000","key":"CK-1",`, made: true},
	"fault-comment-fails": {status: 201, kind: asJSON, has: `{"id":"10000","key":"CK-1",`, made: true},
}

func TestEveryFaultDoesWhatItsRowSays(t *testing.T) {
	t.Parallel()
	for _, name := range jiratest.FaultNames() {
		if name == "fault-silent" {
			continue // see TestSilentFaultDoesItAndAnswersNothing
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, is := createFaults[name]
			if !is {
				t.Fatal("no test knows this fault")
			}
			eachFace(t, jiratest.Options{}, func(t *testing.T, c *client) {
				got, err := c.try("POST", "issue", task(name))
				if (err != nil) != (want.status == 0) {
					t.Fatalf("error %v", err)
				}
				if err == nil && (got.Status != want.status || got.Header.Get("Content-Type") != want.kind || !strings.Contains(got.Body, want.has)) {
					t.Errorf("answer %d %s %.500s", got.Status, got.Header.Get("Content-Type"), got.Body)
				}
				wantRetryAfter(t, c, got, name, want)
				if made := len(c.Issues()) == 1; made != want.made {
					t.Errorf("the issue was made: %t, want %t", made, want.made)
				}
				if got := len(c.Requests()); got != 1 {
					t.Errorf("%d requests, want 1", got)
				}
				c.wantNoViolations()
			})
		})
	}
}

func wantRetryAfter(t *testing.T, c *client, got reply, name string, want want) {
	t.Helper()
	retryAfter := got.Header.Get("Retry-After")
	if want.retryAfter == "a date" {
		at, err := http.ParseTime(retryAfter)
		if left := time.Until(at); err != nil || left < 50*time.Minute || left > time.Hour {
			t.Errorf("Retry-After %q: in %v, %v", retryAfter, left, err)
		}
		return
	}
	if !c.cloud && want.retryAfter == "" && want.status != 0 && name != "fault-429-bare" {
		want.retryAfter = "0"
	}
	if retryAfter != want.retryAfter {
		t.Errorf("Retry-After %q, want %q", retryAfter, want.retryAfter)
	}
}

func TestFaultIsFoundWhereverItsNameStands(t *testing.T) {
	t.Parallel()
	const update, note = `{"fields":{"summary":"x"}}`, `{"body":"x"}`
	search := "search/jql?jql=" + url.QueryEscape(`project="CK" and summary ~"fault\\-403"`)
	tests := []struct{ name, method, path, body string }{
		{"summary of an update", "PUT", "issue/CK-1", `{"fields":{"summary":"fault-403"}}`},
		{"id of an update", "PUT", "issue/fault-403", update},
		{"id of a get", "GET", "issue/fault-403?fields=summary", ""},
		{"id of a comment", "POST", "issue/fault-403/comment", note},
		{"id of the comments", "GET", "issue/fault-403/comment", ""},
		{"text of a comment", "POST", "issue/CK-1/comment", `{"body":"fault-403"}`},
		{"project of the types", "GET", "issue/createmeta/fault-403/issuetypes", ""},
		{"project of the fields", "GET", "issue/createmeta/fault-403/issuetypes/10006", ""},
		{"type of the fields", "GET", "issue/createmeta/CK/issuetypes/fault-403", ""},
		{"project of a create", "POST", "issue", strings.Replace(task("x"), "CK", "fault-403", 1)},
		{"type of a create", "POST", "issue", strings.Replace(task("fault-404"), "10006", "fault-403", 1)},
		{"title of a search", "GET", search, ""},
		{"project of a search", "POST", "search/jql", `{"jql":"project = \"fault-403\" AND labels = x"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := setup(t, jiratest.Options{})
			c.good("POST", "issue", task("one"), 201)
			before := c.Issues()
			if got := c.send(test.method, test.path, test.body); got.Status != 403 {
				t.Errorf("status %d: %s", got.Status, got.Body)
			}
			if diff := cmp.Diff(before, c.Issues()); diff != "" {
				t.Errorf("issues (-before +after):\n%s", diff)
			}
			c.wantNoViolations()
		})
	}
}

// A fault that spoils a good answer has one to spoil wherever it is asked for.
func TestSpoiltAnswersAreGoodOnesOtherwise(t *testing.T) {
	t.Parallel()
	paths := []string{"issue/fault-large", "issue/createmeta/fault-large/issuetypes", "issue/createmeta/CK/issuetypes/fault-large",
		"search/jql?jql=" + url.QueryEscape(`summary ~ "fault\\-large"`)}
	for _, path := range paths {
		c := setup(t, jiratest.Options{})
		got := c.send("GET", path, "")
		var body map[string]json.RawMessage
		got.decode(t, &body)
		if got.Status != 200 || len(body["padding"]) < 2<<20 || len(body) < 2 {
			t.Errorf("%s: status %d, padding of %d bytes, %d members", path, got.Status, len(body["padding"]), len(body))
		}
		c.wantNoViolations()
	}
}

func TestSpoiltUpdateIsDone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"fault-cut", "fault-reset", "fault-large", "fault-no-key"} {
		c := setup(t, jiratest.Options{})
		c.good("POST", "issue", task("one"), 201)
		_, err := c.try("PUT", "issue/CK-1", `{"fields":{"summary":"`+name+`"}}`)
		if (err != nil) != (name == "fault-cut" || name == "fault-reset") {
			t.Errorf("%s: error %v", name, err)
		}
		if got := c.Issues()[0].Fields["summary"]; got != name {
			t.Errorf("summary %v, want %s", got, name)
		}
	}
}

func TestSilentFaultDoesItAndAnswersNothing(t *testing.T) {
	t.Parallel()
	c := setup(t, jiratest.Options{})
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "POST", c.URL()+"/rest/api/2/issue", strings.NewReader(task("fault-silent")))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("patchbay@example.com", "jira-token-1234")
	r.Header.Set("Content-Type", "application/json")
	done := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(r)
		done <- err
	}()
	if err := c.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	leave()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	c.Close() // waits for the handler
	if got := len(c.Issues()); got != 1 {
		t.Errorf("%d issues, want 1", got)
	}
}

func TestGetFailsFaultHoldsForTheIssue(t *testing.T) {
	t.Parallel()
	c := setup(t, jiratest.Options{})
	c.good("POST", "issue", task("fault-get-fails"), 201)
	for _, id := range []string{"CK-1", "10000", "fault-get-fails"} {
		if got := c.send("GET", "issue/"+id, ""); got.Status != 500 {
			t.Errorf("%s: status %d", id, got.Status)
		}
	}
	c.good("POST", "issue/CK-1/comment", `{"body":"x"}`, 201)
	c.wantNoViolations()
}

func TestCommentFailsFaultHoldsOnce(t *testing.T) {
	t.Parallel()
	c := setup(t, jiratest.Options{})
	c.good("POST", "issue", task("fault-comment-fails"), 201)
	c.good("POST", "issue", task("two"), 201)
	c.good("GET", "issue/CK-1", "", 200)
	for _, test := range []struct{ id, text string }{
		{"CK-1", "x"}, {"CK-2", "fault-comment-fails"}, {"fault-comment-fails", "x"},
	} {
		c.good("POST", "issue/"+test.id+"/comment", `{"body":"`+test.text+`"}`, 400)
		c.good("POST", "issue/"+test.id+"/comment", `{"body":"`+test.text+`"}`, 201)
	}
	if diff := cmp.Diff([]string{"x"}, c.Issues()[0].Comments); diff != "" {
		t.Errorf("comments (-want +got):\n%s", diff)
	}
	c.wantNoViolations()
}

func TestRedirectLeadsElsewhere(t *testing.T) {
	t.Parallel()
	c := setup(t, jiratest.Options{})
	if got := c.send("GET", "issue/fault-redirect", "").Header.Get("Location"); got != "/elsewhere" {
		t.Errorf("Location %q", got)
	}
	response, err := http.Get(c.URL() + "/elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != asHTML {
		t.Errorf("elsewhere: %s %s", response.Status, response.Header.Get("Content-Type"))
	}
	c.wantNoViolations()
	c = setup(t, jiratest.Options{RedirectTo: "http://other.example"})
	want := "http://other.example/rest/api/2/issue/fault-redirect?fields=summary"
	if got := c.send("GET", "issue/fault-redirect?fields=summary", "").Header.Get("Location"); got != want {
		t.Errorf("Location %q, want %q", got, want)
	}
}

func TestEchoRepeatsEveryFormOfTheSecret(t *testing.T) {
	t.Parallel()
	const email, token = "me@example.com", "s3cr+t/=~?>"
	c := setup(t, jiratest.Options{Email: email, Token: token})
	var got struct{ ErrorMessages []string }
	c.send("GET", "issue/fault-echo", "").decode(t, &got)
	text := strings.Join(got.ErrorMessages, "\n")
	for _, form := range []string{
		token,
		url.QueryEscape(token),
		url.PathEscape(token),
		base64.StdEncoding.EncodeToString([]byte(token)),
		base64.RawURLEncoding.EncodeToString([]byte(token)),
		"Basic " + base64.StdEncoding.EncodeToString([]byte(email+":"+token)),
	} {
		if !strings.Contains(text, form) {
			t.Errorf("no %s in %s", form, text)
		}
	}
}
