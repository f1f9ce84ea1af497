package jira_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/jira"
	"patchbay.dev/worker/jira/jiratest"
)

// scripted is a Jira that answers as a test says, where the stand-in is too good.
func scripted(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) *bundle {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(s.Close)
	b := &bundle{Server: jiratest.Start(), executor: newExecutor(t), at: s.URL}
	t.Cleanup(b.Close)
	return b
}

func always(status int, contentType, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil // not guessed
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const getTypes = `{"subAction":"issueTypes","subActionParams":{}}`

// text returns the service message of a failure without what every one has.
func text(t *testing.T, failure *wire.Failure, what string) string {
	t.Helper()
	if failure == nil {
		return "no failure"
	}
	text, ok := strings.CutPrefix(failure.ServiceMessage, "[Action][Jira]: Unable to "+what+". ")
	if !ok {
		t.Errorf("service message %q, want one that begins with %q", failure.ServiceMessage, what)
	}
	return text
}

func TestReasonIsJirasOwn(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                                 noResponse,
		` `:                                noResponse,
		`null`:                             noResponse,
		`<html>no</html>`:                  noErrors,
		`no`:                               noErrors,
		`"no"`:                             noErrors,
		`[]`:                               noErrors,
		`{}`:                               noErrors,
		`{"errors":null}`:                  noErrors,
		`{"errorMessages":[]}`:             noErrors,
		`{"errorMessages":"no"}`:           noErrors,
		`{"message":"HTTP 404 Not Found"}`: noErrors,
		`{"errors":{}}`:                    "",
		`{"errors":{"b":"one","a":"two"}}`: "one two",
		`{"errorMessages":[],"errors":{"a":"one"}}`:          "one",
		`{"errors":{"a":"x"},"errorMessages":["one","two"]}`: "one, two",
		`{"errors":{"a":1,"b":{"c":true}}}`:                  `1 {"c":true}`,
		`{"errorMessages":[{"a":1}]}`:                        `{"a":1}`,
		`{"errors":{"a":"\u00fc"}`:                           noErrors, // cut
	} {
		b := scripted(t, always(400, "application/json", body))
		_, got := b.run(t, b.job(t, getTypes))
		same(t, body, "Error: Request failed with status code 400. Reason: "+want, text(t, got, "get issue types"))
	}
}

func TestStatusTellsWhetherToRetry(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	never, later := wire.RetryNever(), wire.RetryLater()
	for status, want := range map[int]wire.Retry{
		302: never, 400: never, 401: never, 403: never, 404: never, 405: never, 408: later, 409: later, 410: never, 413: never, 422: never,
		429: wire.RetryAt(now.Add(7 * time.Second)), 500: later, 502: later, 503: wire.RetryAt(now.Add(7 * time.Second)), 504: later,
	} {
		answering := func() *bundle { // another one each time: some ask for a pause
			b := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(status)
			})
			jira.SetNow(b.executor, func() time.Time { return now })
			return b
		}
		b := answering()
		if status != http.StatusFound { // a read follows it
			_, got := b.run(t, b.job(t, getTypes))
			same(t, fmt.Sprintf("read: %d", status), want, got.Retry)
			same(t, fmt.Sprintf("read: %d: unknown", status), false, got.Unknown)
		}
		b = answering()
		_, got := b.run(t, b.job(t, push(`{"summary":"s","issueType":"1"}`, `null`)))
		// Jira, or what stands before it, may fail after the write.
		lost := status == http.StatusRequestTimeout || status >= 500 && status != http.StatusServiceUnavailable
		if lost {
			want = never
		}
		same(t, fmt.Sprintf("write: %d", status), want, got.Retry)
		same(t, fmt.Sprintf("write: %d: unknown", status), lost, got.Unknown)
	}
}

func TestAnswersAreCheckedAsInKibana(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ contentType, body, want string }{
		{"", `{}`, "Unsupported content type: undefined in GET %s/rest/api/2/issue/1?fields=summary. Supported content types: application/json"},
		{"text/plain", `{}`, "Unsupported content type: text/plain in GET %s/rest/api/2/issue/1?fields=summary. Supported content types: application/json"},
		{"application/json", ``, "Response is not a valid JSON"},
		{"application/json", `{`, "Response is not a valid JSON"},
		{"application/json", `1`, "Response is not a valid JSON"},
		{"application/json", `null`, "Response is not a valid JSON"},
		{"application/json;charset=UTF-8", `[]`, "Response is missing at least one of the expected fields: id,key,fields"},
		{"application/json", `{}`, "Response is missing at least one of the expected fields: id,key,fields"},
		{"application/json", `{"id":"1","key":"","fields":{}}`, "Response is missing at least one of the expected fields: id,key,fields"},
	} {
		b := scripted(t, always(200, tt.contentType, tt.body))
		_, got := b.run(t, b.job(t, `{"subAction":"issue","subActionParams":{"id":"1"}}`))
		want := strings.ReplaceAll(tt.want, "%s", b.at)
		same(t, tt.body, "Error: "+want+". Reason: "+noResponse, text(t, got, "get issue with id 1"))
	}
	b := scripted(t, always(200, "application/json", `{"id":"1","key":"CK-1","fields":{"summary":null}}`))
	same(t, "null", any(object{"id": "1", "key": "CK-1", "title": nil}), b.succeed(t, `{"subAction":"issue","subActionParams":{"id":"1"}}`))
	b = scripted(t, always(204, "", ""))
	_, got := b.run(t, b.job(t, push(`{"summary":"s","issueType":"1"}`, `null`)))
	same(t, "204", true, got != nil && got.Unknown)
}

func TestDatesAreToldInUTC(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`"2020-04-27T14:17:45.490Z"`:      "2020-04-27T14:17:45.490Z",
		`"2020-04-27T14:17:45.490+0000"`:  "2020-04-27T14:17:45.490Z",
		`"2020-04-27T14:17:45.490+0300"`:  "2020-04-27T11:17:45.490Z",
		`"2020-04-27T14:17:45.490-03:30"`: "2020-04-27T17:47:45.490Z",
		`"2020-04-27T14:17:45Z"`:          "2020-04-27T14:17:45.000Z",
		`"yesterday"`:                     "",
		`""`:                              "",
		`null`:                            "",
		`1587997065490`:                   "",
	} {
		b := scripted(t, always(200, "application/json", `{"id":"1","key":"CK-1","fields":{"created":"2020-04-27T14:17:45.490Z","updated":`+raw+`}}`))
		data, got := b.run(t, b.job(t, push(`{"summary":"s","externalId":"CK-1"}`, `null`)))
		if want == "" {
			same(t, raw, "Error: Invalid time value. Reason: "+noResponse+". The issue CK-1 was updated.", text(t, got, "update incident with id CK-1"))
			continue
		}
		if got != nil || decode(t, data).(object)["pushedDate"] != want {
			t.Errorf("%s: %s, %v, want %s", raw, data, got, want)
		}
	}
}

// A project without types is told by Jira, which gets an empty one.
func TestCreateWithoutAnyType(t *testing.T) {
	t.Parallel()
	var sent string
	b := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			always(200, "application/json", `{"issueTypes":[]}`)(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		sent = string(body)
		always(400, "application/json", `{"errors":{"issuetype":"Specify an issue type"}}`)(w, r)
	})
	_, got := b.run(t, b.job(t, push(`{"summary":"s"}`, `null`)))
	same(t, "failure", "Error: Request failed with status code 400. Reason: Specify an issue type", text(t, got, "create incident"))
	same(t, "sent", decode(t, `{"fields":{"summary":"s","project":{"key":"CK"},"issuetype":{"id":""}}}`), decode(t, sent))
}
