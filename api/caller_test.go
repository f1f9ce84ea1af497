package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/api/access"
	"patchbay.dev/shared/wire"
)

// key stores a key and returns what edits a request to carry it.
func (b *bundle) key(privileges access.Privileges, expires ...time.Time) func(*http.Request) {
	b.Helper()
	_, credential := b.newKey(privileges, expires...)
	return authorization("ApiKey " + credential.Encoded())
}

func (b *bundle) newKey(privileges access.Privileges, expires ...time.Time) (access.Key, access.Credential) {
	b.Helper()
	key, secret := access.NewKey("test", privileges, time.Now(), either(append(expires, time.Time{})[0], time.Time{}))
	if err := b.server.store.CreateKey(b.Context(), key); err != nil {
		b.Fatal(err)
	}
	b.server.guard.close()
	return key, access.Credential{ID: key.ID, Secret: secret}
}

func authorization(value string) func(*http.Request) { return header("Authorization", value) }

const kibanaLogPath = "/internal/actions/_global_connector_execution"

// guarded is what each route must ask of its caller, by method and path without
// the prefix of a space, and what it says to who may not.
var guarded = map[string]struct {
	level   access.Level
	refusal string
	body    string // or, of a GET, its query
}{
	"GET /healthz":          {level: access.Anyone},
	"GET /readyz":           {level: access.Anyone},
	"GET /api/status":       {level: access.Anyone},
	"GET /api/openapi.yaml": {level: access.Anyone},

	"GET /api/actions/connector_types": {level: access.Authenticated},

	"GET /api/actions/connector/:id": {access.Read, "Unauthorized to get actions", ""},
	"GET /api/actions/connectors":    {access.Read, "Unauthorized to get actions", ""},
	"POST /api/actions/connector/:id/_execute": {
		access.Read, "Unauthorized to execute actions", `{"params":{"message":"m"}}`,
	},
	"POST /api/actions/connector":       {access.All, `Unauthorized to create a ".server-log" action`, serverLogBody},
	"POST /api/actions/connector/":      {access.All, `Unauthorized to create a ".server-log" action`, serverLogBody},
	"POST /api/actions/connector/:id":   {access.All, `Unauthorized to create a ".server-log" action`, serverLogBody},
	"PUT /api/actions/connector/:id":    {access.All, "Unauthorized to update actions", `{"name":"n"}`},
	"DELETE /api/actions/connector/:id": {access.All, "Unauthorized to delete actions", ""},

	"GET /api/actions/list_action_types":    {level: access.Authenticated},
	"GET /api/actions":                      {access.Read, "Unauthorized to get actions", ""},
	"GET /api/actions/action/:id":           {access.Read, "Unauthorized to get actions", ""},
	"POST /api/actions/action/:id/_execute": {access.Read, "Unauthorized to execute actions", `{"params":{"message":"m"}}`},
	"POST /api/actions/action":              {access.All, `Unauthorized to create a ".server-log" action`, `{"name":"n","actionTypeId":".server-log"}`},
	"PUT /api/actions/action/:id":           {access.All, "Unauthorized to update actions", `{"name":"n"}`},
	"DELETE /api/actions/action/:id":        {access.All, "Unauthorized to delete actions", ""},

	"POST /api/actions/_bulk_execute":          {access.Read, "Unauthorized to execute actions", `{"id":"nope","params":{}}`},
	"GET /api/actions/executions":              {access.Read, "Unauthorized to get executions", ""},
	"GET /api/actions/executions/:id":          {access.Read, "Unauthorized to get executions", ""},
	"DELETE /api/actions/executions/:id":       {access.All, "Unauthorized to discard executions", ""},
	"POST /api/actions/executions/:id/_replay": {access.All, "Unauthorized to replay executions", ""},
	"POST /api/actions/executions/_replay":     {access.All, "Unauthorized to replay executions", `{}`},
	"GET " + kibanaLogPath + "_logs":           {access.Read, "Unauthorized to get executions", "?date_start=2026-01-01T00:00:00Z"},
	"POST " + kibanaLogPath + "_logs":          {access.Read, "Unauthorized to get executions", `{"date_start":"2026-01-01T00:00:00Z"}`},
	"GET " + kibanaLogPath + "_kpi":            {access.Read, "Unauthorized to get executions", "?date_start=2026-01-01T00:00:00Z"},
	"POST " + kibanaLogPath + "_kpi":           {access.Read, "Unauthorized to get executions", `{"date_start":"2026-01-01T00:00:00Z"}`},

	"GET /api/spaces/space":        {access.Read, "Forbidden", ""}, // in one of them, whichever
	"GET /api/spaces/space/:id":    {access.Read, "Unauthorized to get ops space", ""},
	"POST /api/spaces/space":       {access.Admin, "Unauthorized to create spaces", `{"id":"new","name":"n"}`},
	"PUT /api/spaces/space/:id":    {access.Admin, "Unauthorized to update spaces", `{"id":"new","name":"n"}`},
	"DELETE /api/spaces/space/:id": {access.Admin, "Unauthorized to delete spaces", ""},

	"POST /api/actions/_rotate_secrets": {access.Admin, "Unauthorized to rotate secrets", ""},

	"POST /api/security/api_key":   {access.Admin, "Unauthorized to create API keys", `{"name":"n","privileges":{"read":["ops"]}}`},
	"GET /api/security/api_key":    {access.Admin, "Unauthorized to get API keys", ""},
	"DELETE /api/security/api_key": {access.Admin, "Unauthorized to invalidate API keys", `{"ids":["nobody"]}`},
}

// Every route asks every kind of caller for what it should: a new route without
// a line in the table fails here.
func TestEveryRouteAsksItsCallerForTheRightPrivilege(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, strangers := b.newKey(access.Privileges{Admin: true})
	known, revoked := b.newKey(access.Privileges{Admin: true})
	if _, err := b.server.store.DeleteKeys(t.Context(), []string{known.ID}); err != nil {
		t.Fatal(err)
	}
	const missing, wrong = "missing authentication credentials for REST request [",
		"unable to authenticate with provided credentials and anonymous access is not allowed for this request"
	callers := map[string]struct {
		edit    func(*http.Request)
		refused string       // beginning of the 401; "" for none
		ops     access.Level // of the space "ops"
		def     access.Level // of the default space
	}{
		"nobody":        {edit: func(*http.Request) {}, refused: missing},
		"empty":         {edit: authorization(""), refused: missing},
		"malformed":     {edit: authorization("ApiKey !"), refused: "the header Authorization must be"},
		"unknown":       {edit: authorization("ApiKey " + access.Credential{ID: "x", Secret: "y"}.Encoded()), refused: wrong},
		"wrong":         {edit: authorization("ApiKey " + access.Credential{ID: strangers.ID, Secret: "y"}.Encoded()), refused: wrong},
		"expired":       {edit: b.key(access.Privileges{Admin: true}, time.Now().Add(-time.Second)), refused: "the API key has expired"},
		"revoked":       {edit: authorization("ApiKey " + revoked.Encoded()), refused: wrong},
		"without":       {edit: b.key(access.Privileges{}), ops: access.Authenticated, def: access.Authenticated},
		"reader of ops": {edit: b.key(access.Privileges{Read: []string{"ops"}}), ops: access.Read, def: access.Authenticated},
		"all of ops":    {edit: b.key(access.Privileges{All: []string{"ops"}}), ops: access.All, def: access.Authenticated},
		"reader":        {edit: b.key(access.Privileges{Read: []string{"*"}}), ops: access.Read, def: access.Read},
		"all":           {edit: b.key(access.Privileges{All: []string{"*"}}), ops: access.All, def: access.All},
		"mixed":         {edit: b.key(access.Privileges{All: []string{"default"}, Read: []string{"ops"}}), ops: access.Read, def: access.All},
		"admin":         {edit: b.key(access.Privileges{Admin: true}), ops: access.Admin, def: access.Admin},
	}
	b.must(b.send("POST", "/api/spaces/space", `{"id":"ops","name":"Ops"}`, b.key(access.Privileges{Admin: true})), http.StatusOK)
	b.work(".server-log", func(wire.Request, nats.Header) wire.Reply { return wire.Reply{} })
	seen := map[string]bool{}
	for _, route := range b.echo.Routes() {
		template, prefixed := strings.CutPrefix(route.Path, "/s/:space_id")
		name := route.Method + " " + template
		want, ok := guarded[name]
		if !ok {
			t.Errorf("%s is not in the table: who may use it?", name)
			continue
		}
		seen[name] = true
		for who, caller := range callers {
			id, level := "nope", caller.def
			if prefixed {
				level = caller.ops
			}
			switch name { // the space is another than that of the prefix
			case "GET /api/spaces/space":
				level = max(caller.def, caller.ops)
			case "GET /api/spaces/space/:id":
				id, level = "ops", caller.ops
			}
			path := strings.Replace(strings.Replace(route.Path, ":space_id", "ops", 1), ":id", id, 1)
			body := want.body
			if route.Method == http.MethodGet {
				path, body = path+body, ""
			}
			got := b.do(false, route.Method, path, body, caller.edit)
			switch {
			case want.level == access.Anyone && caller.refused == "":
			case want.level == access.Anyone && (caller.refused == missing || template != "/api/status"):
				if got.status != http.StatusOK {
					t.Errorf("%s by %s: %d, want 200", name, who, got.status)
				}
			case caller.refused != "":
				if got.status != http.StatusUnauthorized || !strings.Contains(got.body, caller.refused) || got.header.Get("WWW-Authenticate") != "ApiKey" {
					t.Errorf("%s by %s: %d %s, want 401 and %q", name, who, got.status, got.body, caller.refused)
				}
			case level < want.level:
				if got.status != http.StatusForbidden || got.body != envelope(http.StatusForbidden, want.refusal) {
					t.Errorf("%s %s by %s: %d %s, want 403 %s", name, path, who, got.status, got.body, want.refusal)
				}
			case got.status == http.StatusUnauthorized || got.status == http.StatusForbidden || got.status >= 500:
				t.Errorf("%s %s by %s: %d %s", name, path, who, got.status, got.body)
			}
			if strings.HasSuffix(name, "/_execute") && (got.header.Get(headerExecutionID) == "" || got.header.Get(headerOutcome) == "") {
				t.Errorf("%s by %s: %d without the headers of an execution", name, who, got.status)
			}
		}
	}
	for name := range guarded {
		if !seen[name] {
			t.Errorf("%s is in the table and no route", name)
		}
	}
}
