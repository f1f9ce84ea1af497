package api

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
	"patchbay.dev/shared/wire"
)

const (
	jiraConfig  = `{"apiUrl":"https://jira.example.com","projectKey":"OPS"}`
	jiraSecrets = `{"email":"a@example.com","apiToken":"s3cr3t-t0ken"}`
	jiraBody    = `{"name":"Tickets","connector_type_id":".jira","config":` + jiraConfig + `,"secrets":` + jiraSecrets + `}`
	jiraParams  = `{"params":{"subAction":"issueTypes","subActionParams":{}}}`
)

// opened returns the secrets that a worker would find in a request.
func opened(t *testing.T, space string, r wire.Request) string {
	t.Helper()
	c := r.Connector
	secrets, err := testRing.Open(c.Secrets, seal.Binding{Space: space, ConnectorID: c.ID, Type: c.Type, Config: c.Config})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return string(secrets)
}

func TestSecretsReachAWorkerSealedAndNobodyElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	requests := make(chan wire.Request, 1)
	b.work(".jira", func(r wire.Request, _ nats.Header) wire.Reply { requests <- r; return wire.Reply{} })
	created := b.must(b.send("POST", "/s/ops/api/actions/connector/j", jiraBody), http.StatusOK)
	want := `{"id":"j","name":"Tickets","connector_type_id":".jira","config":` + jiraConfig +
		`,"is_missing_secrets":false,"is_preconfigured":false,"is_deprecated":false,"is_system_action":false}`
	if created.body != want {
		t.Errorf("create: %s, want %s", created.body, want)
	}
	b.must(b.send("POST", "/s/ops/api/actions/connector/j/_execute", jiraParams), http.StatusOK)
	if got := opened(t, "ops", <-requests); got != jiraSecrets {
		t.Errorf("the worker opens %s, want %s", got, jiraSecrets)
	}

	const other = `{"email":"b@example.com","apiToken":"an0ther-t0ken"}`
	b.must(b.send("PUT", "/s/ops/api/actions/connector/j", `{"name":"T","config":`+jiraConfig+`,"secrets":`+other+`}`), http.StatusOK)
	b.must(b.send("POST", "/s/ops/api/actions/connector/j/_execute", jiraParams), http.StatusOK)
	if got := opened(t, "ops", <-requests); got != other {
		t.Errorf("after the update the worker opens %s, want %s", got, other)
	}
	for _, path := range []string{"/s/ops/api/actions/connector/j", "/s/ops/api/actions/connectors", "/s/ops/api/actions"} {
		if got := b.must(b.send("GET", path, ""), http.StatusOK); strings.Contains(got.body, "t0ken") || strings.Contains(got.body, `"secrets"`) {
			t.Errorf("GET %s shows secrets: %s", path, got.body)
		}
	}
}

func TestTheDatabaseHoldsNoSecret(t *testing.T) {
	t.Parallel()
	broker, dir := startBroker(t, 0), t.TempDir()
	r := run(t, Config{
		DataDir: dir, ShutdownTimeout: 10 * time.Second, SealKey: setting.Fixed(testRing.Public()), Hosts: connector.AllHosts(),
	}, connect(t, broker))
	if status, body := r.call(t, "POST", "/api/actions/connector/j", jiraBody); status != http.StatusOK {
		t.Fatal(status, body)
	}
	look := func() {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"s3cr3t-t0ken", "a@example.com"} {
				if bytes.Contains(data, []byte(secret)) {
					t.Errorf("%s contains %s", filepath.Base(file), secret)
				}
			}
		}
	}
	look() // the write-ahead log too
	r.stop()
	if err := <-r.ended; err != nil {
		t.Fatal(err)
	}
	look()
}

func TestSecretsThatDoNotConformAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	create := func(secrets string) string {
		return `{"name":"n","connector_type_id":".jira","config":` + jiraConfig + secrets + `}`
	}
	const missing = "error validating action type secrets: [email]: expected value of type [string] but got [undefined]"
	for _, test := range []struct{ body, want string }{
		{create(``), missing},
		{create(`,"secrets":{}`), missing},
		{create(`,"secrets":{"email":"e"}`), "error validating action type secrets: [apiToken]: expected value of type [string] but got [undefined]"},
		{create(`,"secrets":{"email":"e","apiToken":"t","x":1}`), "error validating action type secrets: [x]: definition for this key is missing"},
		{create(`,"secrets":{"email":"e","apiToken":" "}`), "[request body.secrets.apiToken]: value '' is not valid"},
	} {
		b.wantError(b.sendBad("POST", "/api/actions/connector/j", test.body), http.StatusBadRequest, test.want)
	}
	b.must(b.send("POST", "/api/actions/connector/j", jiraBody), http.StatusOK)
	// An update without secrets does not keep the old ones: they belong to the old config.
	b.wantError(b.send("PUT", "/api/actions/connector/j", `{"name":"n","config":`+jiraConfig+`}`), http.StatusBadRequest, missing)
}

func TestHostsThatAreNotAllowedAreRefusedOnSave(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.server.keeper.hosts = connector.Hosts{"jira.example.com"}
	b.must(b.send("POST", "/api/actions/connector/j", jiraBody), http.StatusOK)
	body := strings.Replace(jiraBody, "https://jira.example.com", "https://evil.example.com:8443/x", 1)
	b.wantError(b.send("POST", "/api/actions/connector", body), http.StatusBadRequest,
		`error validating action type config: error configuring connector action: `+
			`target url "https://evil.example.com:8443/x" is not added to the Patchbay config PATCHBAY_ALLOWED_HOSTS`)
}

func TestWithoutAKeySecretsAreRefusedAndTheRestWorks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.server.keeper.key = nil
	b.wantError(b.send("POST", "/api/actions/connector", jiraBody), http.StatusInternalServerError,
		"The server is not set up for this: secrets cannot be kept without a key to seal them to: set PATCHBAY_SEAL_PUBLIC_KEY_FILE for the api.")
	b.must(b.send("POST", "/api/actions/connector", serverLogBody), http.StatusOK)
}

func TestPreconfiguredSecretsComeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{preconfigured: `
preconfigured:
  tickets:
    name: Tickets
    actionTypeId: .jira
    config: {apiUrl: https://jira.example.com, projectKey: OPS}
    secrets: {email: a@example.com, apiToken: "${JIRA_TOKEN}"}
`})
	requests := make(chan wire.Request, 1)
	b.work(".jira", func(r wire.Request, _ nats.Header) wire.Reply { requests <- r; return wire.Reply{} })
	b.must(b.send("POST", "/s/any/api/actions/connector/tickets/_execute", jiraParams), http.StatusOK)
	r := <-requests
	if got, want := opened(t, seal.EverySpace, r), `{"email":"a@example.com","apiToken":"t0ken-of-the-env"}`; got != want || !r.Connector.Preconfigured {
		t.Errorf("the worker opens %s, want %s", got, want)
	}
	_, err := testKeeper.parsePreconfigured([]byte(`preconfigured: {t: {name: T, actionTypeId: .jira, config: {apiUrl: u, projectKey: K}, secrets: {email: e, apiToken: "${NOT_SET}"}}}`))
	const want = "[preconfigured.t]: [secrets.apiToken]: the environment has no NOT_SET"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if _, err := (keeper{}).resolve([]byte(`{"apiToken":"${NOT_SET}"}`)); err == nil {
		t.Error("a variable of no environment was found")
	}
}

func TestABadSecretInTheFileIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"!!int s3cr3t", "*s3cr3t", "'Bearer ${s3cr3t}'", "'${not-a-name}s3cr3t'", "[s3cr3t]"} {
		_, err := testKeeper.parsePreconfigured([]byte(`preconfigured:
  t: {name: T, actionTypeId: .jira, config: {apiUrl: u, projectKey: K}, secrets: {email: e, apiToken: ` + secret + `}}`))
		if err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v, want a refusal that does not repeat it", secret, err)
		}
	}
}

func TestCallersMayNameTheirExecution(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(b.send("POST", "/api/actions/connector/a", serverLogBody), http.StatusOK)
	requests := make(chan wire.Request, 1)
	b.work(".server-log", func(r wire.Request, _ nats.Header) wire.Reply { requests <- r; return wire.Reply{} })
	for _, given := range []string{"", "alert-42", strings.Repeat("x", 64)} {
		var edits []func(*http.Request)
		if given != "" {
			edits = append(edits, header("Patchbay-Execution-Id", given))
		}
		got := b.must(b.send("POST", "/api/actions/connector/a/_execute", executeLog, edits...), http.StatusOK)
		r := <-requests
		if id := got.header.Get("Patchbay-Execution-Id"); id != r.ExecutionID || r.Given != (given != "") || given != "" && id != given {
			t.Errorf("given %q: answered %q, sent %q, given %t", given, id, r.ExecutionID, r.Given)
		}
	}
	for _, bad := range []string{"-", "a b", strings.Repeat("x", 65)} {
		got := b.sendBad("POST", "/api/actions/connector/a/_execute", executeLog, header("Patchbay-Execution-Id", bad))
		b.wantError(got, http.StatusBadRequest,
			"[request headers.patchbay-execution-id]: 1 to 64 letters, digits, hyphens, underscores and dots are expected")
	}
}
