package jira_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/jira"
	"patchbay.dev/worker/jira/jiratest"
)

// label is the one of the bundle's execution.
func label() string {
	sum := sha256.Sum256([]byte("default|jira-1|execution-1"))
	return "patchbay-" + hex.EncodeToString(sum[:])[:20]
}

func TestGivenExecutionIsLabelled(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	b.succeedJob(t, given(b.job(t, push(`{"summary":"s","labels":["a"]}`, `null`))))
	same(t, "labels", any([]any{"a", label()}), b.Issues()[0].Fields["labels"])
	query := `jql=labels%20%3D%20%22` + label() + `%22&`
	if uri := b.Requests()[0].URI; !strings.Contains(uri, query) {
		t.Errorf("first request: %s, want a search for %s", uri, query)
	}
}

// An update carries its issue's id, and leaves its labels as they are.
func TestGivenUpdateIsNotLabelled(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	b.succeed(t, push(`{"summary":"s"}`, `null`))
	j := given(b.job(t, push(`{"summary":"t","externalId":"CK-1"}`, `[{"commentId":"c","comment":"one"}]`)))
	first, second := b.succeedJob(t, j), b.succeedJob(t, j)
	same(t, "issues", []jiratest.Issue{{ID: "10000", Key: "CK-1", Comments: []string{"one"}, Fields: object{
		"summary": "t", "project": object{"key": "CK"}, "issuetype": object{"id": "10006"},
	}}}, b.Issues())
	same(t, "comments of the second run", first.(object)["comments"], second.(object)["comments"])
}

func TestExecutionRunAgainGoesOn(t *testing.T) {
	t.Parallel()
	for _, otherWorker := range []bool{false, true} {
		both(t, jiratest.Options{PageSize: 1}, func(t *testing.T, b *bundle) {
			j := given(b.job(t, push(`{"summary":"s","issueType":"10004"}`, `[{"commentId":"c1","comment":"one\r\n"},
				{"commentId":"c2","comment":"one"},{"commentId":"c3","comment":"fault-comment-fails"},{"commentId":"c4","comment":"four"}]`)))
			_, got := b.run(t, j)
			same(t, "first run", thrown("[Action][Jira]: Unable to create comment at incident with id 10000. "+
				"Error: Request failed with status code 400. Reason: You do not have permission to comment on this issue. "+
				"The issue CK-1 (id 10000) was created; these comments were added: c1, c2.", wire.RetryLater(), wire.User), got)
			if otherWorker {
				b.executor = newExecutor(t)
			}
			want := any(object{
				"id": "10000", "title": "CK-1", "url": b.URL() + "/browse/CK-1", "pushedDate": "2026-01-05T10:00:01.123Z",
				"comments": []any{
					object{"commentId": "c1", "pushedDate": "2026-01-05T10:00:02.123Z"},
					object{"commentId": "c2", "pushedDate": "2026-01-05T10:00:03.123Z"},
					object{"commentId": "c3", "pushedDate": "2026-01-05T10:00:04.123Z"},
					object{"commentId": "c4", "pushedDate": "2026-01-05T10:00:05.123Z"},
				},
			})
			same(t, "second run", want, b.succeedJob(t, j))
			same(t, "third run", want, b.succeedJob(t, j))
			same(t, "number of issues", 1, len(b.Issues()))
			same(t, "comments", []string{"one\r\n", "one", "fault-comment-fails", "four"}, b.Issues()[0].Comments)
		})
	}
}

func TestOtherExecutionsHaveIssuesOfTheirOwn(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	j := given(b.job(t, push(`{"summary":"s","issueType":"10004"}`, `null`)))
	b.succeedJob(t, j)
	for _, change := range []func(*job){
		func(j *job) { j.ExecutionID = "execution-2" },
		func(j *job) { j.ConnectorID = "jira-2" },
		func(j *job) { j.Space = "other" },
		func(j *job) { j.Given = false },
	} {
		other := j
		change(&other)
		b.succeedJob(t, other)
	}
	same(t, "number of issues", 5, len(b.Issues()))
}

func TestLostCreateIsFoundAgain(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"fault-cut", "fault-reset", "fault-large", "fault-no-key"} {
		b := setup(t, jiratest.Options{})
		j := given(b.job(t, push(`{"summary":"`+fault+`","issueType":"10004"}`, `[{"commentId":"c","comment":"one"}]`)))
		if _, got := b.run(t, j); got == nil || !got.Unknown || got.Retry != wire.RetryNever() {
			t.Errorf("%s: %+v, want an unknown outcome", fault, got)
		}
		b.succeedJob(t, j)
		same(t, "number of issues", 1, len(b.Issues()))
		same(t, "comments", []string{"one"}, b.Issues()[0].Comments)
	}
}

func TestLostCommentIsFoundAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	j := given(b.job(t, push(`{"summary":"s","issueType":"10004"}`, `[{"commentId":"c","comment":"fault-cut"}]`)))
	if _, got := b.run(t, j); got == nil || !got.Unknown || !strings.Contains(got.ServiceMessage, "The issue CK-1 (id 10000) was created") {
		t.Errorf("%+v, want an unknown outcome that names the issue", got)
	}
	b.succeedJob(t, j)
	same(t, "comments", []string{"fault-cut"}, b.Issues()[0].Comments)
}

// blind is a Jira whose search trails behind: it finds nothing.
func blind(t *testing.T, b *bundle) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/rest/api/2/search/jql" {
			b.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"issues":[],"isLast":true}`)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestWhatThisWorkerCreatedNeedsNoSearch(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	j := given(b.job(t, push(`{"summary":"s","issueType":"10004"}`, `null`)))
	j.Config.APIURL = blind(t, b).URL
	same(t, "second run", b.succeedJob(t, j), b.succeedJob(t, j))
	same(t, "number of issues", 1, len(b.Issues()))
}

// A search that finds nothing proves nothing soon after a create was lost.
func TestLostCreateIsNotRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	jira.SetNow(b.executor, func() time.Time { return now })
	j := given(b.job(t, push(`{"summary":"fault-reset","issueType":"10004"}`, `null`)))
	j.Config.APIURL = blind(t, b).URL
	_, _ = b.run(t, j)
	j.Params = b.job(t, push(`{"summary":"s","issueType":"10004"}`, `null`)).Params

	now = now.Add(29 * time.Second)
	_, got := b.run(t, j)
	want := unknown("[Action][Jira]: Unable to create incident. Error: an earlier attempt may have created the issue, " +
		"which Jira's search does not show yet. Reason: " + noResponse)
	want.Retry = wire.RetryAt(now.Add(time.Second))
	same(t, "run at once", want, got)

	now = now.Add(time.Second)
	b.succeedJob(t, j)
	same(t, "number of issues", 2, len(b.Issues())) // of a Jira that never finds the first
}

func TestRunsOfOneExecutionPassOneAfterAnother(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	j := given(b.job(t, push(`{"summary":"s"}`, `[{"commentId":"c","comment":"one"}]`)))
	j.Config.APIURL = blind(t, b).URL
	var runs sync.WaitGroup
	all := make([]string, 10)
	for i := range all {
		runs.Go(func() {
			data, err := b.executor.Execute(t.Context(), j)
			all[i] = fmt.Sprint(string(data), err)
		})
	}
	runs.Wait()
	same(t, "different answers", 1, len(slices.Compact(all)))
	same(t, "number of issues", 1, len(b.Issues()))
	same(t, "comments", []string{"one"}, b.Issues()[0].Comments)
}

// Who waits for another run of the same execution leaves when its time is up.
func TestWaitingRunEndsAtItsDeadline(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	j := given(b.job(t, push(`{"summary":"s","issueType":"10004"}`, `null`)))
	release := b.Hold()
	first := make(chan error, 1)
	go func() { _, err := b.executor.Execute(t.Context(), j); first <- err }()
	if err := b.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	_, err := b.executor.Execute(ctx, j)
	same(t, "second run", error(thrown("[Action][Jira]: Unable to create incident. Error: timeout of 100ms exceeded. Reason: "+noResponse,
		wire.RetryLater(), wire.Framework)), err)
	release()
	if err := <-first; err != nil {
		t.Errorf("first run: %v", err)
	}
}

// The oldest of the label's issues is the one: a clone has the labels too.
func TestClonesAreNotTakenForTheIssue(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	b.succeed(t, push(`{"summary":"original","labels":["`+label()+`"]}`, `null`))
	b.succeed(t, push(`{"summary":"clone","labels":["`+label()+`"]}`, `null`))
	got := b.succeedJob(t, given(b.job(t, push(`{"summary":"s"}`, `null`)))).(object)
	same(t, "issue", any("CK-1"), got["title"])
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	count, first, err := jira.Remembered(t.Context(), 10_000, strconv.Itoa)
	if err != nil || count != 4096 || !first {
		t.Errorf("%d are remembered, the running one %v, %v, want 4096 with it", count, first, err)
	}
}

// Other fields may put an issue into another project than the connector's.
func TestIssueInAnotherProjectIsFoundAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	b.succeedJob(t, given(b.job(t, push(`{"summary":"s"}`, `null`))))
	query := b.Requests()[0].URI
	if !strings.Contains(query, label()) || strings.Contains(query, "project") {
		t.Errorf("search: %s, want one for the label in every project", query)
	}
}

// One id may stand for updates of several issues: what was done to one was not
// done to another.
func TestUpdatesOfTwoIssuesUnderOneIDAreBothDone(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	b.succeed(t, push(`{"summary":"a"}`, `null`))
	b.succeed(t, push(`{"summary":"b"}`, `null`))
	for _, id := range []string{"CK-1", "CK-2", "CK-2"} { // the last one is run again
		b.succeedJob(t, given(b.job(t, push(`{"summary":"s","externalId":"`+id+`"}`, `[{"commentId":"c","comment":"one"}]`))))
	}
	for _, issue := range b.Issues() {
		same(t, issue.Key, []string{"one"}, issue.Comments)
	}
}

func TestGoodAnswerThatRepeatsTheSecretsIsRedacted(t *testing.T) {
	t.Parallel()
	b := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		_, token, _ := r.BasicAuth()
		always(200, "application/json", fmt.Sprintf(`{"id":"1","key":"CK-1","fields":{"summary":%q,"a":%q}}`, token, r.Header.Get("Authorization")))(w, r)
	})
	for _, params := range []string{
		`{"subAction":"issue","subActionParams":{"id":"1"}}`, `{"subAction":"getIncident","subActionParams":{"externalId":"1"}}`,
	} {
		j := b.job(t, params)
		got := fmt.Sprint(b.succeedJob(t, j))
		pair := base64.StdEncoding.EncodeToString([]byte(j.Secrets.Email + ":" + j.Secrets.APIToken))
		if strings.Contains(got, j.Secrets.APIToken) || strings.Contains(got, pair) || !strings.Contains(got, "redacted") {
			t.Errorf("%s: %s shows the secrets", params, got)
		}
	}
}
