package jira_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/jira"
	"patchbay.dev/worker/jira/jiratest"
	"patchbay.dev/worker/pool"
)

// Whoever calls the Jira that asked for a pause is answered with its end, whatever he
// wants, and nothing is sent.
func TestPauseHoldsForEveryoneWhoCallsThatJira(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	_, first := b.run(t, b.job(t, `{"subAction":"issue","subActionParams":{"id":"fault-429"}}`))
	if first == nil || !soon(first.Retry) {
		t.Fatalf("failure %+v, want a date", first)
	}
	n := len(b.Requests())
	for _, params := range []string{
		`{"subAction":"issueTypes","subActionParams":{}}`,
		`{"subAction":"getIncident","subActionParams":{"externalId":"CK-1"}}`,
		push(`{"summary":"s","issueType":"10004"}`, `null`),
	} {
		j := b.job(t, params)
		j.ConnectorID = "another"
		_, got := b.run(t, given(j))
		if got == nil || !soon(got.Retry) || got.Unknown || got.Source != wire.User ||
			!strings.HasPrefix(got.ServiceMessage, "[Action][Jira]: 127.0.0.1:") || !strings.HasSuffix(got.ServiceMessage, ": nothing was sent") {
			t.Errorf("%s: %+v, want a date and that nothing was sent", params, got)
		}
	}
	if got := len(b.Requests()); got != n {
		t.Errorf("%d requests were sent in the pause", got-n)
	}
	other := setup(t, jiratest.Options{})
	other.executor = b.executor
	other.succeed(t, `{"subAction":"issueTypes","subActionParams":{}}`) // another Jira
}

func TestJiraWithAsManyExecutionsAsItBearsIsBusy(t *testing.T) {
	t.Parallel()
	b := setup(t, jiratest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	j := b.job(t, `{"subAction":"issue","subActionParams":{"id":"fault-silent"}}`)
	var hanging sync.WaitGroup
	busy := make(chan struct{}, 100)
	for range 70 { // of 64
		hanging.Go(func() {
			if _, err := b.executor.Execute(ctx, j); errors.Is(err, pool.ErrBusy) {
				busy <- struct{}{}
			}
		})
	}
	for range 70 - 64 {
		select {
		case <-busy:
		case <-time.After(30 * time.Second):
			t.Fatal("all were let in")
		}
	}
	cancel()
	hanging.Wait()
	b.succeed(t, `{"subAction":"issueTypes","subActionParams":{}}`)
	if len(busy) > 0 {
		t.Errorf("%d more were busy", len(busy))
	}
}

// The worker knows a destination by the config, the layer by the URL: both by one
// name.
func TestDestinationOfAConfig(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{
		`{"apiUrl":"https://Example.atlassian.net/","projectKey":"CK"}`: "example.atlassian.net:443",
		`{"apiUrl":"http://jira:8080/context"}`:                         "jira:8080",
		`{"apiUrl":""}`:                                                 "",
		`{"apiUrl":"https://%zz"}`:                                      "",
		`{"apiUrl":7}`:                                                  "",
		`{}`:                                                            "",
		`null`:                                                          "",
		`[]`:                                                            "",
	} {
		if got := jira.Destination(json.RawMessage(config)); got != want {
			t.Errorf("%s: %q, want %q", config, got, want)
		}
	}
}
