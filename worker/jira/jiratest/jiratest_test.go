package jiratest_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/worker/jira/jiratest"
)

func TestIssueLivesFromCreateToComment(t *testing.T) {
	t.Parallel()
	eachFace(t, jiratest.Options{}, func(t *testing.T, c *client) {
		created := c.good("POST", "issue", `{"fields":{"project":{"key":"CK"},"issuetype":{"id":"10004"},"summary":"Disk full",
			"description":"90 %","labels":["a","b"],"priority":{"name":"High"},"customfield_10002":{"value":"Minor"}}}`, 201)
		if want := `{"id":"10000","key":"CK-1","self":"` + c.URL() + `/rest/api/2/issue/10000"}`; created.Body != want {
			t.Errorf("created %s, want %s", created.Body, want)
		}
		c.good("PUT", "issue/ck-1", `{"fields":{"summary":"Disk is full","description":null,"project":{"key":"CK"}}}`, 204)
		note := c.good("POST", "issue/10000/comment", `{"body":"I am on it"}`, 201)
		var said struct{ ID, Body, Created string }
		note.decode(t, &said)
		if got, want := said.ID+" "+said.Body+" "+said.Created, "11000 I am on it 2026-01-05T10:00:03.123+0000"; got != want {
			t.Errorf("comment %q, want %q", got, want)
		}
		var got struct {
			ID, Key string
			Fields  map[string]any
		}
		c.good("GET", "issue/CK-1?fields=summary,created,updated,description,priority,labels", "", 200).decode(t, &got)
		want := map[string]any{
			"summary": "Disk is full", "description": nil, "labels": []any{"a", "b"},
			"created": "2026-01-05T10:00:01.123+0000", "updated": "2026-01-05T10:00:03.123+0000",
			"priority": map[string]any{"id": "2", "name": "High"},
		}
		if diff := cmp.Diff(want, got.Fields); diff != "" || got.ID != "10000" || got.Key != "CK-1" {
			t.Errorf("issue %s %s (-want +got):\n%s", got.ID, got.Key, diff)
		}
		var comments struct {
			Total    int
			Comments []struct{ Body string }
		}
		c.good("GET", "issue/CK-1/comment", "", 200).decode(t, &comments)
		if comments.Total != 1 || len(comments.Comments) != 1 || comments.Comments[0].Body != "I am on it" {
			t.Errorf("comments %+v", comments)
		}
		kept := []jiratest.Issue{{
			ID: "10000", Key: "CK-1", Comments: []string{"I am on it"},
			Fields: map[string]any{
				"project": map[string]any{"key": "CK"}, "issuetype": map[string]any{"id": "10004"}, "summary": "Disk is full",
				"labels": []any{"a", "b"}, "priority": map[string]any{"name": "High"}, "customfield_10002": map[string]any{"value": "Minor"},
			},
		}}
		if diff := cmp.Diff(kept, c.Issues()); diff != "" {
			t.Errorf("issues (-want +got):\n%s", diff)
		}
		c.wantNoViolations()
	})
}

func TestFieldsAreThoseAskedFor(t *testing.T) {
	t.Parallel()
	c := setup(t, jiratest.Options{})
	c.good("POST", "issue", task("one"), 201)
	tests := []struct {
		query string
		want  []string
		not   []string
	}{
		{"", []string{"summary", "created", "status", "comment", "project"}, []string{"environment"}},
		{"?fields=*all,-comment", []string{"summary", "created"}, []string{"comment"}},
		{"?fields=-comment", []string{"summary"}, []string{"comment"}},
		{"?fields=summary&fields=created", []string{"summary", "created"}, []string{"updated"}},
		{"?fields=nothing", nil, []string{"summary"}},
	}
	for _, test := range tests {
		var got struct{ Fields map[string]any }
		c.good("GET", "issue/CK-1"+test.query, "", 200).decode(t, &got)
		for _, name := range test.want {
			if _, is := got.Fields[name]; !is {
				t.Errorf("%s: no %s", test.query, name)
			}
		}
		for _, name := range test.not {
			if _, is := got.Fields[name]; is {
				t.Errorf("%s: there is %s", test.query, name)
			}
		}
	}
	c.wantNoViolations()
}

func TestZuluDatesEndInZ(t *testing.T) {
	t.Parallel()
	c := setup(t, jiratest.Options{ZuluDates: true})
	c.good("POST", "issue", task("one"), 201)
	if got := c.good("GET", "issue/CK-1?fields=created", "", 200).Body; !strings.Contains(got, `"created":"2026-01-05T10:00:01.123Z"`) {
		t.Errorf("issue %s", got)
	}
}

func TestCredentialsAreDemanded(t *testing.T) {
	t.Parallel()
	const text = "Client must be authenticated to access this resource."
	tests := []struct {
		name, accept, kind, body string
		options                  jiratest.Options
	}{
		{"cloud", "application/json", "text/html;charset=UTF-8", text, jiratest.Options{}},
		{"data center, JSON", "application/json", "application/json;charset=UTF-8",
			`{"message":"` + text + `","status-code":401}`, jiratest.Options{DataCenter: true}},
		{"data center, anything", "", "application/xml;charset=UTF-8",
			`<?xml version="1.0" encoding="UTF-8" standalone="yes"?><status><status-code>401</status-code><message>` + text +
				`</message></status>`, jiratest.Options{DataCenter: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.options.Email, test.options.Token = "me@example.com", "s3cr+t/="
			c := setup(t, test.options)
			for _, token := range []string{"", "wrong", "s3cr+t/="} {
				r, err := http.NewRequestWithContext(t.Context(), "GET", c.URL()+"/rest/api/2/myself", nil)
				if err != nil {
					t.Fatal(err)
				}
				if token != "" {
					r.SetBasicAuth("me@example.com", token)
				}
				r.Header.Set("Accept", test.accept)
				response, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				body := make([]byte, 1000)
				n, _ := response.Body.Read(body)
				_ = response.Body.Close()
				if token == "s3cr+t/=" {
					if response.StatusCode != 200 {
						t.Errorf("with the token: %s", response.Status)
					}
					continue
				}
				if response.StatusCode != 401 || response.Header.Get("Content-Type") != test.kind || string(body[:n]) != test.body {
					t.Errorf("with token %q: %s, %s: %s", token, response.Status, response.Header.Get("Content-Type"), body[:n])
				}
			}
			c.wantNoViolations()
		})
	}
}

func TestServerTellsItsKind(t *testing.T) {
	t.Parallel()
	eachFace(t, jiratest.Options{}, func(t *testing.T, c *client) {
		var info struct{ DeploymentType string }
		c.good("GET", "serverInfo", "", 200).decode(t, &info)
		want := map[bool]string{true: "Cloud", false: "Server"}[c.cloud]
		if info.DeploymentType != want {
			t.Errorf("deploymentType %q, want %q", info.DeploymentType, want)
		}
		c.good("GET", "myself", "", 200)
		c.wantNoViolations()
	})
}

func TestContextPathStandsBeforeAll(t *testing.T) {
	t.Parallel()
	c := setup(t, jiratest.Options{ContextPath: "/jira", ProjectKey: "OPS"})
	if !strings.HasSuffix(c.URL(), "/jira") {
		t.Errorf("URL %s", c.URL())
	}
	c.good("POST", "issue", strings.Replace(task("one"), "CK", "OPS", 1), 201)
	if got := c.Issues()[0].Key; got != "OPS-1" {
		t.Errorf("key %s", got)
	}
	if got := c.Requests()[0].URI; got != "/jira/rest/api/2/issue" {
		t.Errorf("URI %s", got)
	}
	response, err := http.Get(strings.TrimSuffix(c.URL(), "/jira") + "/rest/api/2/serverInfo")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != 404 || len(c.Violations()) != 1 {
		t.Errorf("without the context path: %s, violations %q", response.Status, c.Violations())
	}
}

func TestCloseEndsWhoWaits(t *testing.T) {
	t.Parallel()
	for _, summary := range []string{"fault-silent", "held"} {
		t.Run(summary, func(t *testing.T) {
			t.Parallel()
			c := setup(t, jiratest.Options{})
			if summary == "held" {
				c.Hold() // never released
			}
			done := make(chan error, 1)
			go func() {
				_, err := c.try("POST", "issue", task(summary))
				done <- err
			}()
			if err := c.Wait(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			c.Close()
			c.Close()
			if err := <-done; err == nil {
				t.Error("it was answered")
			}
		})
	}
}

func TestHoldKeepsARequestUntilItIsReleased(t *testing.T) {
	t.Parallel()
	c := setup(t, jiratest.Options{})
	release := c.Hold()
	done := make(chan error, 1)
	go func() {
		_, err := c.try("POST", "issue", task("held"))
		done <- err
	}()
	if err := c.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if got := len(c.Issues()); got != 0 {
		t.Errorf("%d issues while it is held", got)
	}
	release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := len(c.Issues()); got != 1 {
		t.Errorf("%d issues", got)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := setup(t, jiratest.Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if err := c.Wait(ctx, 1); !errors.Is(err, enough) {
		t.Errorf("error %v, want %v", err, enough)
	}
}

func TestDiscardKeepsTheNewestIssuesAlone(t *testing.T) {
	t.Parallel()
	c := setup(t, jiratest.Options{Discard: true})
	for range 1001 {
		c.good("POST", "issue", task("one"), 201)
	}
	issues := c.Issues()
	if len(issues) != 1000 || issues[0].Key != "CK-2" || len(c.Requests()) != 0 {
		t.Errorf("%d issues, the first is %s; %d requests", len(issues), issues[0].Key, len(c.Requests()))
	}
}
