package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
)

const legacyIndexBody = `{"name":"Alerts","actionTypeId":".index","config":{"index":"alerts"}}`

func TestLegacyRoutesSpeakCamelCase(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{preconfigured: oneServerLog})
	b.work(".index", func(r wire.Request, _ nats.Header) wire.Reply {
		if string(r.Params) == `{"documents":[]}` {
			return wire.Reply{Failure: &wire.Failure{
				Message: "error indexing documents", ServiceMessage: "empty", Retry: wire.RetryNever(), Source: wire.User,
			}}
		}
		return wire.Reply{Data: []byte(`{"items":[]}`)}
	})
	created := b.must(b.send("POST", "/s/ops/api/actions/action", legacyIndexBody), http.StatusOK)
	id := b.field(created, "id")
	stored := `{"id":"` + id + `","name":"Alerts","actionTypeId":".index",
		"config":{"index":"alerts","refresh":false,"executionTimeField":null},
		"isMissingSecrets":false,"isPreconfigured":false,"isDeprecated":false,"isSystemAction":false}`
	const preconfigured = `{"id":"log","name":"Preconfigured log","actionTypeId":".server-log",
		"isPreconfigured":true,"isDeprecated":false,"isSystemAction":false}`
	counted := func(body string) string {
		return strings.Replace(body, `"isPreconfigured"`, `"referencedByCount":0,"isPreconfigured"`, 1)
	}
	b.wantAnswer(created, http.StatusOK, stored)
	tests := []struct{ method, path, body, want string }{
		{"GET", "/action/" + id, "", stored},
		{"GET", "/action/log", "", preconfigured},
		{"PUT", "/action/" + id, `{"name":"Alerts","config":{"index":"alerts"}}`, stored},
		{"GET", "", "", "[" + counted(stored) + "," + counted(preconfigured) + "]"},
		{"POST", "/action/" + id + "/_execute", `{"params":{"documents":[{}]}}`,
			`{"actionId":"` + id + `","status":"ok","data":{"items":[]}}`},
		{"POST", "/action/" + id + "/_execute", `{"params":{"documents":[]}}`,
			`{"actionId":"` + id + `","status":"error","message":"error indexing documents",
			  "serviceMessage":"empty","retry":false,"errorSource":"user"}`},
		{"GET", "/list_action_types", "", "[" + camelType(indexType) + "," + camelType(serverLogType) + "," + camelType(jiraType) + "]"},
	}
	for _, test := range tests {
		got := b.send(test.method, "/s/ops/api/actions"+test.path, test.body)
		b.wantAnswer(got, http.StatusOK, test.want)
		if warning := got.header.Get("Warning"); !strings.HasPrefix(warning, "299 ") {
			t.Errorf("%s %s: warning %q", test.method, test.path, warning)
		}
	}
	b.must(b.send("DELETE", "/s/ops/api/actions/action/"+id, ""), http.StatusNoContent)
	b.wantError(b.send("GET", "/s/ops/api/actions/action/"+id, ""), http.StatusNotFound, "Saved object [action/"+id+"] not found")
}

func camelType(body string) string {
	return strings.NewReplacer(
		"enabled_in_config", "enabledInConfig", "enabled_in_license", "enabledInLicense",
		"minimum_license_required", "minimumLicenseRequired", "supported_feature_ids", "supportedFeatureIds",
		"is_system_action_type", "isSystemActionType",
	).Replace(body)
}

func TestLegacyCreateLetsBlankStringsPass(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(b.send("POST", "/api/actions/action", `{"name":" ","actionTypeId":".index","config":{"index":""}}`), http.StatusOK)
}

func TestLegacyCreateRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for body, message := range map[string]string{
		`{"actionTypeId":".index"}`:                   "[request body.name]: expected value of type [string] but got [undefined]",
		`{"name":"a"}`:                                "[request body.actionTypeId]: expected value of type [string] but got [undefined]",
		`{"name":"a\u0000","actionTypeId":".index"}`:  "[request body.name]: value has a NUL character",
		`{"name":"a","connector_type_id":".index"}`:   "[request body.actionTypeId]: expected value of type [string] but got [undefined]",
		`{"name":"a","actionTypeId":".nope"}`:         `Action type ".nope" is not registered.`,
		`{"name":"a","actionTypeId":".index","x":[]}`: "[request body.x]: definition for this key is missing",
	} {
		b.wantError(b.sendBad("POST", "/api/actions/action", body), http.StatusBadRequest, message)
	}
}
