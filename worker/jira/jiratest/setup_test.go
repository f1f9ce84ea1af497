package jiratest_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/worker/jira/jiratest"
	"patchbay.dev/worker/jira/jiratest/contract"
)

var loadContract = sync.OnceValues(contract.Load)

// client speaks to a stand-in and holds what is said against Jira's contract.
type client struct {
	*jiratest.Server
	t        *testing.T
	cloud    bool
	options  jiratest.Options
	contract *contract.Contract
}

func setup(t *testing.T, options jiratest.Options) *client {
	t.Helper()
	c, err := loadContract()
	if err != nil {
		t.Fatal(err)
	}
	if c == nil {
		t.Logf("answers are not held against Jira's contract: there is none beside the project and %s is not set", contract.Variable)
	}
	s := jiratest.StartWith(options)
	t.Cleanup(s.Close)
	return &client{s, t, !options.DataCenter, options, c}
}

// reply is an answer that arrived.
type reply struct {
	Status int
	Header http.Header
	Body   string
}

func (r reply) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.Body), into); err != nil {
		t.Fatalf("%v: %s", err, r.Body)
	}
}

var noRedirect = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// try sends a request below /rest/api/2/ with credentials.
func (c *client) try(method, path, body string) (reply, error) {
	c.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.URL()+"/rest/api/2/"+path, reader)
	if err != nil {
		c.t.Fatal(err)
	}
	email, token := c.options.Email, c.options.Token
	if email == "" {
		email, token = "patchbay@example.com", "jira-token-1234"
	}
	r.SetBasicAuth(email, token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := noRedirect.Do(r)
	if err != nil {
		return reply{}, err
	}
	answer, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(answer)}, errors.Join(err, response.Body.Close())
}

func (c *client) send(method, path, body string) reply {
	c.t.Helper()
	got, err := c.try(method, path, body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

// good sends what a well-behaved client sends and wants a status; with Cloud
// both must be as the contract has them.
func (c *client) good(method, path, body string, status int) reply {
	c.t.Helper()
	got := c.send(method, path, body)
	if got.Status != status {
		c.t.Fatalf("%s %s %s: status %d, want %d: %s", method, path, body, got.Status, status, got.Body)
	}
	requests := c.Requests()
	if !c.cloud || len(requests) == 0 {
		return got
	}
	last := requests[len(requests)-1]
	if err := c.contract.Request(last); err != nil {
		c.t.Error(err)
	}
	if err := c.contract.Response(last, got.Status, got.Header, []byte(got.Body)); err != nil {
		c.t.Error(err)
	}
	return got
}

func (c *client) wantNoViolations() {
	c.t.Helper()
	if diff := cmp.Diff([]string(nil), c.Violations()); diff != "" {
		c.t.Errorf("violations (-want +got):\n%s", diff)
	}
}

func task(summary string) string {
	text, err := json.Marshal(summary)
	if err != nil {
		panic(err)
	}
	return `{"fields":{"project":{"key":"CK"},"issuetype":{"id":"10006"},"summary":` + string(text) + `}}`
}

// eachFace runs a test against Cloud and against Data Center.
func eachFace(t *testing.T, options jiratest.Options, test func(t *testing.T, c *client)) {
	for name, isDataCenter := range map[string]bool{"cloud": false, "data center": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := options
			options.DataCenter = isDataCenter
			test(t, setup(t, options))
		})
	}
}
