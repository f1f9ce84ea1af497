package jira_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"patchbay.dev/shared/wire"
)

func TestListsEnd(t *testing.T) {
	t.Parallel()
	// A page that tells no total is the only one; one that ignores startAt comes once.
	const two = `{"issueTypes":[{"id":"1","name":"a"},{"id":"2","name":"b"}]`
	for _, body := range []string{two + `}`, two + `,"total":9}`, two + `,"isLast":true,"total":9}`} {
		b := scripted(t, always(200, "application/json", body))
		same(t, body, any([]any{object{"id": "1", "name": "a"}, object{"id": "2", "name": "b"}}), b.succeed(t, getTypes))
	}
	n := 0
	b := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		always(200, "application/json", fmt.Sprintf(`{"values":[{"id":"%d"}],"isLast":false}`, n))(w, r)
	})
	_, got := b.run(t, b.job(t, getTypes))
	same(t, "endless", thrown("[Action][Jira]: Unable to get issue types. Error: Jira has more than 50 pages or 10000 entries of it. Reason: "+
		noResponse, wire.RetryNever(), wire.Framework), got)
	same(t, "pages", 50, n)
	b = scripted(t, always(200, "application/json", `{"issues":[{"id":"1","key":"a","fields":{}}],"nextPageToken":"again"}`))
	same(t, "endless search", 50, len(b.succeed(t, fmt.Sprintf(issuesOf, `"x"`)).([]any))) // enough to choose from
	b = scripted(t, always(200, "application/json", `{}`))
	same(t, "no issues", any([]any{}), b.succeed(t, fmt.Sprintf(issuesOf, `"x"`)))
	_, got = b.run(t, b.job(t, getTypes))
	same(t, "no types", "Error: Response is missing at least one of the expected fields: issueTypes,values. Reason: "+noResponse, text(t, got, "get issue types"))
}

// Kibana starts anew when nothing is left after the first two types.
func TestNoCommonFieldsStayNone(t *testing.T) {
	t.Parallel()
	b := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		_, id, ok := strings.Cut(r.URL.Path, "/issuetypes/")
		body := `{"fields":[{"fieldId":"f` + id + `","name":"n"}]}`
		if !ok {
			body = `{"issueTypes":[{"id":"1"},{"id":"2"},{"id":"3"}]}`
		}
		always(200, "application/json", body)(w, r)
	})
	same(t, "fields", any(object{}), b.succeed(t, `{"subAction":"getFields","subActionParams":{}}`))
}

// Neither search is there: the first refusal counts, and nothing is remembered.
func TestNoSearchAtAll(t *testing.T) {
	t.Parallel()
	var calls []string
	b := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		calls = append(calls, r.URL.Path)
		always(410, "application/json", `{"errorMessages":["gone: `+r.URL.Path+`"]}`)(w, r)
	})
	for range 2 {
		_, got := b.run(t, b.job(t, fmt.Sprintf(issuesOf, `"x"`)))
		same(t, "failure", "Error: Request failed with status code 410. Reason: gone: /rest/api/2/search/jql", text(t, got, "get issues"))
	}
	same(t, "calls", 4, len(calls))
}
