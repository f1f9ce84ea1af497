package jira_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/jira/jiratest"
)

// Whatever may have been carried out is unknown, and never to be repeated.
func TestLostAnswersOfWritesAreUnknown(t *testing.T) {
	t.Parallel()
	for fault, text := range map[string]string{
		"fault-cut":    "unexpected EOF",
		"fault-reset":  "",
		"fault-large":  "the answer is larger than 65536 bytes (PATCHBAY_MAX_RESPONSE)",
		"fault-html":   "",
		"fault-no-key": "",
	} {
		for name, tt := range map[string]struct{ params, what, may string }{
			"create": {
				push(`{"summary":"`+fault+`","issueType":"10004"}`, `null`),
				"Unable to create incident", "the issue may have been created",
			},
			"update": {
				push(`{"summary":"s","externalId":"`+fault+`"}`, `null`),
				"Unable to update incident with id " + fault, "the issue " + fault + " may have been updated",
			},
			"comment": {
				push(`{"summary":"s","externalId":"CK-1"}`, `[{"commentId":"c1","comment":"fine"},{"commentId":"c2","comment":"`+fault+`"}]`),
				"Unable to create comment at incident with id 10000", "the comment c2 may have been added",
			},
		} {
			if name == "update" && (fault == "fault-no-key" || fault == "fault-cut") {
				continue // an update is answered without a body
			}
			b := setup(t, jiratest.Options{})
			b.succeed(t, push(`{"summary":"s"}`, `null`))
			_, got := b.run(t, b.job(t, tt.params))
			if got == nil {
				t.Errorf("%s of %s went well", name, fault)
				continue
			}
			prefix, suffix := "[Action][Jira]: "+tt.what+". Error: "+text, ". Reason: "+noResponse+". The outcome is unknown: "+tt.may+"."
			if name == "comment" {
				suffix += " The issue CK-1 (id 10000) was updated; these comments were added: c1."
			}
			if !strings.HasPrefix(got.ServiceMessage, prefix) || !strings.HasSuffix(got.ServiceMessage, suffix) {
				t.Errorf("%s of %s:\n got %s\nwant %s…%s", name, fault, got.ServiceMessage, prefix, suffix)
			}
			same(t, name+" of "+fault, unknown(got.ServiceMessage), got)
		}
	}
}

func TestDeadlineAndAbandonment(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	_, err := b.within(t, 100*time.Millisecond, push(`{"summary":"fault-silent","issueType":"10004"}`, `null`))
	same(t, "create at the deadline", error(unknown("[Action][Jira]: Unable to create incident. Error: timeout of 100ms exceeded. Reason: "+
		noResponse+". The outcome is unknown: the issue may have been created.")), err)
	_, err = b.within(t, 100*time.Millisecond, `{"subAction":"issue","subActionParams":{"id":"fault-silent"}}`)
	same(t, "read at the deadline", error(thrown("[Action][Jira]: Unable to get issue with id fault-silent. Error: timeout of 100ms exceeded. Reason: "+
		noResponse, wire.RetryLater(), wire.Framework)), err)

	ctx, cancel := context.WithCancelCause(t.Context())
	n := len(b.Requests())
	done := make(chan error, 1)
	go func() {
		_, err := b.executor.Execute(ctx, b.job(t, push(`{"summary":"fault-silent","issueType":"10004"}`, `null`)))
		done <- err
	}()
	if err := b.Wait(t.Context(), n+1); err != nil {
		t.Fatal(err)
	}
	cancel(errors.New("nobody waits any more"))
	same(t, "abandoned create", error(unknown("[Action][Jira]: Unable to create incident. Error: nobody waits any more. Reason: "+
		noResponse+". The outcome is unknown: the issue may have been created.")), <-done)

	_, err = b.executor.Execute(ctx, b.job(t, push(`{"summary":"s","issueType":"10004"}`, `null`)))
	same(t, "create after the end", error(thrown("[Action][Jira]: Unable to create incident. Error: nobody waits any more. Reason: "+
		noResponse, wire.RetryLater(), wire.Framework)), err)
}

func (b *bundle) within(t *testing.T, d time.Duration, params string) (string, error) {
	t.Helper()
	j := b.job(t, params)
	ctx, stop := context.WithTimeout(t.Context(), d)
	defer stop()
	data, err := b.executor.Execute(ctx, j)
	return string(data), err
}
