package jira_test

import (
	"encoding/json"
	"log/slog"
	"net/netip"
	"testing"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/jira"
	"patchbay.dev/worker/jira/jiratest"
	"patchbay.dev/worker/outbound"
	"patchbay.dev/worker/pool"
	"patchbay.dev/worker/pool/pooltest"
)

func TestConformance(t *testing.T) { //nolint:paralleltest // the suite counts goroutines
	const password = "pass/word é"
	server := jiratest.StartWith(jiratest.Options{Email: email, Token: password})
	t.Cleanup(server.Close)
	secrets, err := json.Marshal(connector.JiraSecrets{Email: email, APIToken: password})
	if err != nil {
		t.Fatal(err)
	}
	request := func(project, params string) wire.Request {
		config, err := json.Marshal(connector.JiraConfig{APIURL: server.URL(), ProjectKey: project})
		if err != nil {
			t.Fatal(err)
		}
		return wire.Request{
			Connector: wire.Connector{Type: ".jira", Config: config, Secrets: secrets},
			Params:    json.RawMessage(params),
		}
	}
	create := func(summary string) wire.Request {
		return request("CK", push(`{"summary":"`+summary+`","issueType":"10004"}`, `null`))
	}
	hanging, flooding := create("fault-silent"), create("fault-large")
	e := pooltest.Executor{
		New: func(*testing.T, *slog.Logger) (pool.Handler, func()) {
			layer := outbound.New(outbound.Policy{
				Hosts:       connector.AllHosts(),
				CIDRs:       []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
				MaxResponse: 64 << 10,
			})
			return pool.Handle(connector.Jira, jira.New(layer).Execute), func() { layer.Close(); server.Close() }
		},
		Good: create("good"), Hanging: &hanging, Flooding: &flooding,
		// The password, what a URL makes of it, and what Basic makes of it and the user.
		Secrets: []string{password, "pass%2Fword+%C3%A9", "pass%2Fword%20%C3%A9", "cGF0Y2hiYXlAZXhhbXBsZS5jb206cGFzcy93b3JkIMOp"},
		Failing: []wire.Request{
			request("CK", `{"subAction":"handshake","subActionParams":{"externalId":"1"}}`),
			request("CK", `{"subAction":"issue","subActionParams":{"id":"fault-echo"}}`),
			request("CK", `{"subAction":"getIncident","subActionParams":{"externalId":"fault-echo"}}`),
			request("CK", `{"subAction":"issues","subActionParams":{"title":"fault-echo"}}`),
			request("CK", `{"subAction":"fieldsByIssueType","subActionParams":{"id":"fault-echo"}}`),
			request("fault-echo", `{"subAction":"issueTypes","subActionParams":{}}`),
			request("fault-echo", `{"subAction":"getFields","subActionParams":{}}`),
			request("CK", push(`{"summary":"s","externalId":"fault-echo"}`, `null`)),
			request("CK", push(`{"summary":"s","issueType":"10004"}`, `[{"commentId":"c","comment":"fault-echo"}]`)),
		},
	}
	for _, name := range []string{
		"echo", "400", "400-messages", "401-html", "403", "404", "429-bare", "500-html",
		"cut", "reset", "html", "no-key", "array", "redirect", "get-fails",
		"503-in-5", "429", "429-date", // the first asks for a pause
	} {
		e.Failing = append(e.Failing, create("fault-"+name))
	}
	pooltest.Run(t, e)
}
