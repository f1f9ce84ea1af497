package jira_test

import (
	"fmt"
	"strings"
	"testing"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/jira/jiratest"
)

const (
	noResponse = "unknown: errorResponse was null"
	noErrors   = "unknown: errorResponse.errors was null"
)

// soon is advice for a date, which the tests cannot know.
func soon(r wire.Retry) bool {
	text, err := r.MarshalJSON()
	return err == nil && strings.HasPrefix(string(text), `"20`)
}

func TestFaultsOfReads(t *testing.T) {
	t.Parallel()
	const status = "Request failed with status code "
	never, later := wire.RetryNever(), wire.RetryLater()
	for fault, want := range map[string]struct {
		text, reason string
		retry        wire.Retry
		date         bool
		source       wire.Source
	}{
		"fault-400":          {status + "400", "Component name 'x' is not valid Error parsing date string: tomorrow", never, false, wire.User},
		"fault-400-messages": {status + "400", "The first thing is wrong., The second thing is wrong.", never, false, wire.User},
		"fault-401-html":     {status + "401", noErrors, never, false, wire.Framework},
		"fault-403":          {status + "403", "You do not have permission to do this in this project.", never, false, wire.Framework},
		"fault-404":          {status + "404", "Issue does not exist or you do not have permission to see it.", never, false, wire.Framework},
		"fault-429":          {status + "429", "Rate limit exceeded.", later, true, wire.User},
		"fault-429-date":     {status + "429", "Rate limit exceeded.", later, true, wire.User},
		"fault-429-bare":     {status + "429", noResponse, later, false, wire.User},
		"fault-500-html":     {status + "500", noErrors, later, false, wire.Framework},
		"fault-503-in-5":     {status + "503", "Jira is temporarily unavailable.", later, true, wire.Framework},
		"fault-cut":          {"unexpected EOF", noResponse, later, false, wire.Framework},
		"fault-large":        {"the answer is larger than 65536 bytes (PATCHBAY_MAX_RESPONSE)", noResponse, never, false, wire.Framework},
		"fault-no-key":       {"Response is missing at least one of the expected fields: id,key,fields", noResponse, later, false, wire.Framework},
		"fault-array":        {"Response is missing at least one of the expected fields: id,key,fields", noResponse, later, false, wire.Framework},
	} {
		for params, what := range map[string]string{
			`{"subAction":"getIncident","subActionParams":{"externalId":%q}}`: "Unable to get incident with id " + fault,
			`{"subAction":"issue","subActionParams":{"id":%q}}`:               "Unable to get issue with id " + fault,
		} {
			b := setup(t, jiratest.Options{}) // some ask for a pause
			_, got := b.run(t, b.job(t, fmt.Sprintf(params, fault)))
			if got != nil && want.date && soon(got.Retry) {
				got.Retry = later
			}
			same(t, fault, thrown("[Action][Jira]: "+what+". Error: "+want.text+". Reason: "+want.reason, want.retry, want.source), got)
		}
	}
}

// A lost answer of a read is not unknown: nothing was to be changed.
func TestResetAndRedirectOfReads(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	_, got := b.run(t, b.job(t, `{"subAction":"issue","subActionParams":{"id":"fault-reset"}}`))
	if got == nil || got.Unknown || got.Retry != wire.RetryLater() || strings.Contains(got.ServiceMessage, "Get \"") {
		t.Errorf("reset: %+v, want a failure that may be retried, without the URL", got)
	}
	for fault, path := range map[string]string{"fault-html": "/rest/api/2/issue/fault-html?fields=summary", "fault-redirect": "/elsewhere"} {
		_, got := b.run(t, b.job(t, fmt.Sprintf(`{"subAction":"issue","subActionParams":{"id":%q}}`, fault)))
		same(t, fault, thrown("[Action][Jira]: Unable to get issue with id "+fault+". Error: Unsupported content type: text/html;charset=UTF-8 in GET "+
			b.URL()+path+". Supported content types: application/json. Reason: "+noResponse, wire.RetryLater(), wire.Framework), got)
	}
}

func TestFaultsOfEverySubAction(t *testing.T) {
	t.Parallel()
	for what, params := range map[string]string{
		"get issue types": `{"subAction":"issueTypes","subActionParams":{}}`,
		"get fields":      `{"subAction":"fieldsByIssueType","subActionParams":{"id":"fault-500-html"}}`,
		"get issues":      `{"subAction":"issues","subActionParams":{"title":"fault-500-html"}}`,
		"create comment at incident with id 10000": push(`{"summary":"s","externalId":"CK-1"}`, `[{"commentId":"c","comment":"fault-500-html"}]`),
	} {
		b := setup(t, jiratest.Options{})
		b.succeed(t, push(`{"summary":"s"}`, `null`))
		j := b.job(t, params)
		if what == "get issue types" {
			j.Config.ProjectKey = "fault-500-html"
		}
		want := thrown("[Action][Jira]: Unable to "+what+". Error: Request failed with status code 500. Reason: "+noErrors,
			wire.RetryLater(), wire.Framework)
		if strings.Contains(what, "comment") { // Jira may fail after it has written
			want.ServiceMessage += ". The outcome is unknown: the comment c may have been added." +
				" The issue CK-1 (id 10000) was updated; no comment was added."
			want.Retry, want.Unknown = wire.RetryNever(), true
		}
		_, got := b.run(t, j)
		same(t, what, want, got)
	}
	b := setup(t, jiratest.Options{})
	j := b.job(t, push(`{"summary":"s"}`, `null`)) // the types are asked for first
	j.Config.ProjectKey = "fault-403"
	_, got := b.run(t, j)
	same(t, "types of a create", thrown("[Action][Jira]: Unable to get issue types. Error: Request failed with status code 403. "+
		"Reason: You do not have permission to do this in this project.", wire.RetryNever(), wire.Framework), got)
}

// Nothing was sent, so nothing is unknown.
func TestNoConnection(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	j := b.job(t, push(`{"summary":"s","issueType":"10004"}`, `null`))
	b.Close()
	_, got := b.run(t, j)
	if got == nil || got.Unknown || got.Retry != wire.RetryLater() || !strings.Contains(got.ServiceMessage, "connection refused. Reason: "+noResponse) {
		t.Errorf("failure %+v, want a refused connection that may be retried", got)
	}
	j.Config.APIURL = "http://169.254.169.254"
	_, got = b.run(t, j)
	if got == nil || got.Unknown || got.Retry != wire.RetryNever() {
		t.Errorf("failure %+v, want the address blocked for good", got)
	}
}

// The issue is there: the failure says so, and not to create it again.
func TestFailureAfterACreateNamesTheIssue(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	_, got := b.run(t, b.job(t, push(`{"summary":"fault-get-fails","issueType":"10004"}`, `null`)))
	same(t, "get fails", thrown("[Action][Jira]: Unable to create incident. Error: [Action][Jira]: Unable to get incident with id 10000. "+
		"Error: Request failed with status code 500. Reason: Internal server error. Reason: "+noResponse+". The issue CK-1 (id 10000) was created.",
		wire.RetryNever(), wire.Framework), got)
	_, got = b.run(t, b.job(t, push(`{"summary":"s","issueType":"10004"}`,
		`[{"commentId":"c1","comment":"one"},{"commentId":"c2","comment":"fault-comment-fails"}]`)))
	same(t, "comment fails", thrown("[Action][Jira]: Unable to create comment at incident with id 10001. Error: Request failed with status code 400. "+
		"Reason: You do not have permission to comment on this issue. The issue CK-2 (id 10001) was created; these comments were added: c1.",
		wire.RetryNever(), wire.User), got)
}

func TestSecretsAreRedacted(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	for _, params := range []string{
		push(`{"summary":"fault-echo","issueType":"10004"}`, `null`),
		`{"subAction":"issue","subActionParams":{"id":"fault-echo"}}`,
		`{"subAction":"issues","subActionParams":{"title":"fault-echo"}}`,
	} {
		_, got := b.run(t, b.job(t, params))
		if got == nil || !strings.Contains(got.ServiceMessage, "[redacted]") {
			t.Fatalf("%s: %v, want what was repeated without the secrets", params, got)
		}
		for _, secret := range []string{token, "cGF0Y2hiYXlAZXhhbXBsZS5jb206amlyYS10b2tlbi0xMjM0", "amlyYS10b2tlbi0xMjM0"} {
			if strings.Contains(got.ServiceMessage, secret) {
				t.Errorf("%s is told: %s", secret, got.ServiceMessage)
			}
		}
	}
}
