package jira_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/jira"
	"patchbay.dev/worker/jira/jiratest"
	"patchbay.dev/worker/jira/jiratest/contract"
	"patchbay.dev/worker/outbound"
	"patchbay.dev/worker/pool"
)

const email, token = "patchbay@example.com", "jira-token-1234"

type job = pool.Job[connector.JiraConfig, connector.JiraSecrets, connector.JiraParams]

// bundle is an executor and a Jira of its own.
type bundle struct {
	*jiratest.Server
	executor *jira.Executor
	at       string // another address than the stand-in's, "" for none
}

// setup ends a test by finding that every request kept the protocol of the
// stand-in and, if there is its description, of Jira.
func setup(t *testing.T, options jiratest.Options) *bundle {
	t.Helper()
	b := &bundle{Server: jiratest.StartWith(options), executor: newExecutor(t)}
	t.Cleanup(b.Close)
	described, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	if described == nil {
		t.Log("Jira's description is not there: requests are not held against it")
	}
	t.Cleanup(func() {
		if v := b.Violations(); len(v) > 0 {
			t.Errorf("the stand-in counts violations: %q", v)
		}
		for _, r := range b.Requests() {
			if err := described.Request(r); err != nil && !options.DataCenter && r.URI != "/elsewhere" {
				t.Errorf("%s %s breaks Jira's description: %v", r.Method, r.URI, err)
			}
		}
	})
	return b
}

func newExecutor(t *testing.T) *jira.Executor {
	t.Helper()
	layer := outbound.New(outbound.Policy{
		Hosts:       connector.AllHosts(),
		CIDRs:       []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		MaxResponse: 64 << 10,
	})
	t.Cleanup(layer.Close)
	return jira.New(layer)
}

// job returns an execution without a given id.
func (b *bundle) job(t *testing.T, params string) job {
	t.Helper()
	p, err := connector.Jira.Params([]byte(params))
	if err != nil {
		t.Fatal(err)
	}
	return job{
		ExecutionID: "execution-1", Space: "default", ConnectorID: "jira-1", Name: "Jira",
		Config:  connector.JiraConfig{APIURL: cmp.Or(b.at, b.URL()), ProjectKey: "CK"},
		Secrets: connector.JiraSecrets{Email: email, APIToken: token},
		Params:  p,
	}
}

func given(j job) job {
	j.Given = true
	return j
}

// run executes a job within a generous time.
func (b *bundle) run(t *testing.T, j job) (data string, failure *wire.Failure) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	raw, err := b.executor.Execute(ctx, j)
	if err == nil {
		return string(raw), nil
	}
	failure, ok := errors.AsType[*wire.Failure](err)
	if !ok {
		t.Fatalf("error %v, want a *wire.Failure", err)
	}
	return string(raw), failure
}

// succeed runs params without a given id and returns the data, decoded.
func (b *bundle) succeed(t *testing.T, params string) any {
	t.Helper()
	return b.succeedJob(t, b.job(t, params))
}

func (b *bundle) succeedJob(t *testing.T, j job) any {
	t.Helper()
	data, failure := b.run(t, j)
	if failure != nil {
		t.Fatalf("Execute: %v", failure)
	}
	return decode(t, data)
}

func decode(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("decode %s: %v", text, err)
	}
	return v
}

// calls returns the methods and paths that Jira got, without what every list has.
func (b *bundle) calls() []string {
	var calls []string
	for _, r := range b.Requests() {
		u, err := url.Parse(r.URI)
		if err != nil {
			panic(err) // it was a request
		}
		calls = append(calls, r.Method+" "+u.EscapedPath())
	}
	return calls
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(wire.Retry{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// thrown is a failure with Kibana's message for all of them.
func thrown(text string, retry wire.Retry, source wire.Source) *wire.Failure {
	return &wire.Failure{
		Message: "an error occurred while running the action", ServiceMessage: text, Retry: retry, Source: source,
	}
}

func unknown(text string) *wire.Failure {
	f := thrown(text, wire.RetryNever(), wire.Framework)
	f.Unknown = true
	return f
}

// both runs a test on both faces of Jira.
func both(t *testing.T, options jiratest.Options, test func(*testing.T, *bundle)) {
	t.Helper()
	for name, dataCenter := range map[string]bool{"Cloud": false, "DataCenter": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := options
			options.DataCenter = dataCenter
			test(t, setup(t, options))
		})
	}
}
