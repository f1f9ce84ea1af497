package contract_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchbay.dev/worker/jira/jiratest"
	"patchbay.dev/worker/jira/jiratest/contract"
)

// small describes one path as Jira's description does, so that the checks are
// tested also where that is not at hand.
const small = `{"openapi":"3.0.1","info":{"title":"t","version":"1"},"paths":{
	"/rest/api/2/issue":{"post":{
		"requestBody":{"required":true,"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Issue"}}}},
		"responses":{"201":{"description":"","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Created"}}}},
			"204":{"description":"","content":{"application/json":{"schema":{}}}}}}}},
	"components":{"schemas":{
		"Issue":{"type":"object","additionalProperties":false,"properties":{"fields":{"type":"object","additionalProperties":{}}}},
		"Created":{"type":"object","additionalProperties":false,"properties":{"id":{"type":"string"},"at":{"type":"string","format":"date-time"}}}}}}`

func load(t *testing.T) *contract.Contract {
	t.Helper()
	path := filepath.Join(t.TempDir(), "small.json")
	if err := os.WriteFile(path, []byte(small), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(contract.Variable, path)
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func post(body string) jiratest.Request {
	return jiratest.Request{
		Method: "POST", URI: "/jira/rest/api/2/issue",
		Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body),
	}
}

func TestRequestIsHeldAgainstTheDescription(t *testing.T) { //nolint:paralleltest // load sets the environment
	c := load(t)
	good := post(`{"fields":{"summary":"x","description":null}}`)
	if err := c.Request(good); err != nil {
		t.Errorf("a good request: %v", err)
	}
	query, other := good, good
	query.URI += "?x=1"
	other.URI = "/rest/api/2/issues"
	for name, bad := range map[string]jiratest.Request{
		"the parameter x is not described": query,
		"no matching operation was found":  other,
		"author":                           post(`{"author":{}}`),
		"must be an object":                post(`{"fields":[]}`),
		"value is required":                post(``),
	} {
		if err := c.Request(bad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want %s", err, name)
		}
	}
}

func TestAnswerIsHeldAgainstTheDescription(t *testing.T) { //nolint:paralleltest // load sets the environment
	c := load(t)
	asJSON := http.Header{"Content-Type": {"application/json;charset=UTF-8"}}
	tests := []struct {
		status int
		header http.Header
		body   string
		want   string // "" for good
	}{
		{201, asJSON, `{"id":"1","at":"2026-01-05T10:00:00.123+0000"}`, ""},
		{201, asJSON, `{"id":"1","at":"2026-01-05T10:00:00.123Z"}`, ""},
		{204, nil, "", ""},
		{201, asJSON, `{"at":"today"}`, "date-time"},
		{201, asJSON, `{"id":1}`, "must be a string"},
		{201, asJSON, `{"other":1}`, "other"},
		{201, http.Header{"Content-Type": {"text/html"}}, `{}`, "text/html"},
		{418, asJSON, `{}`, "status is not supported"},
	}
	for _, test := range tests {
		err := c.Response(post(`{}`), test.status, test.header, []byte(test.body))
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%d %s: %v, want %q", test.status, test.body, err, test.want)
		}
	}
}

func TestNothingIsHeldAgainstNoDescription(t *testing.T) {
	t.Parallel()
	var c *contract.Contract
	if err := c.Request(post(`[]`)); err != nil {
		t.Error(err)
	}
	if err := c.Response(post(`[]`), 500, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestNamedDescriptionMustBeThere(t *testing.T) {
	t.Setenv(contract.Variable, filepath.Join(t.TempDir(), "none.json"))
	if _, err := contract.Load(); err == nil {
		t.Error("no error")
	}
}
