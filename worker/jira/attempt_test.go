package jira_test

import (
	"strings"
	"testing"

	"patchbay.dev/worker/jira/jiratest"
)

// attempt returns j as one attempt of an execution that is on record.
func attempt(j job, n int) job {
	j = given(j)
	j.Attempt = n
	return j
}

// searches counts the requests that look for an issue.
func searches(b *bundle) (n int) {
	for _, r := range b.Requests() {
		if strings.Contains(r.URI, "/search") {
			n++
		}
	}
	return n
}

// Nothing ran before the first attempt, so that there is nothing to find. The
// label is for the second.
func TestFirstAttemptIsLabelledWithoutASearch(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	j := b.job(t, push(`{"summary":"s","issueType":"10004"}`, `[{"commentId":"c","comment":"one"}]`))
	b.succeedJob(t, attempt(j, 1))
	same(t, "labels", any([]any{label()}), b.Issues()[0].Fields["labels"])
	same(t, "searches", 0, searches(b))
}

func TestLaterAttemptsInOtherWorkersFindTheIssue(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	j := b.job(t, push(`{"summary":"fault-cut","issueType":"10004"}`, `[{"commentId":"c","comment":"one"}]`))
	if _, got := b.run(t, attempt(j, 1)); got == nil || !got.Unknown {
		t.Errorf("first attempt: %+v, want an unknown outcome", got)
	}
	for n := 2; n < 4; n++ {
		b.executor = newExecutor(t)
		b.succeedJob(t, attempt(j, n))
		same(t, "searches", n-1, searches(b))
	}
	same(t, "number of issues", 1, len(b.Issues()))
	same(t, "comments", []string{"one"}, b.Issues()[0].Comments)
}

// A caller's own id may have been run before, by whoever.
func TestExecutionThatIsNotOnRecordIsSearchedFor(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	j := b.job(t, push(`{"summary":"s","issueType":"10004"}`, `null`))
	b.succeedJob(t, attempt(j, 0))
	same(t, "searches", 1, searches(b))
}

// Whatever is counted, what this worker made or lost itself is not made again.
func TestMemoryGoesBeforeTheCount(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	for _, summary := range []string{"s", "fault-reset"} {
		j := b.job(t, push(`{"summary":"`+summary+`","issueType":"10004"}`, `null`))
		j.ExecutionID = summary
		_, _ = b.run(t, attempt(j, 1))
		b.succeedJob(t, attempt(j, 1))
	}
	same(t, "number of issues", 2, len(b.Issues()))
}
