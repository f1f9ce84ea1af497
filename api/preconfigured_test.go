package api

import (
	"net/http"
	"strings"
	"testing"
)

const oneServerLog = `
preconfigured:
  log:
    name: Preconfigured log
    actionTypeId: .server-log
`

func TestPreconfiguredConnectorIsInEverySpace(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{preconfigured: `
preconfigured:
  hidden:
    name: Hidden
    actionTypeId: .index
    config: {index: secret-index}
  shown:
    name: Shown
    actionTypeId: .index
    config: {index: shown-index}
    secrets: {}
    exposeConfig: true
`})
	const (
		hidden = `{"id":"hidden","name":"Hidden","connector_type_id":".index",
			"is_preconfigured":true,"is_deprecated":false,"is_system_action":false}`
		shown = `{"id":"shown","name":"Shown","connector_type_id":".index",
			"config":{"index":"shown-index","refresh":false,"executionTimeField":null},
			"is_preconfigured":true,"is_deprecated":false,"is_system_action":false}`
	)
	listed := func(body string) string {
		return strings.Replace(body, `"is_preconfigured"`, `"referenced_by_count":0,"is_preconfigured"`, 1)
	}
	for _, space := range []string{"", "/s/default", "/s/ops"} {
		b.wantAnswer(b.send("GET", space+"/api/actions/connector/hidden", ""), http.StatusOK, hidden)
		b.wantAnswer(b.send("GET", space+"/api/actions/connector/shown", ""), http.StatusOK, shown)
		b.wantAnswer(b.send("GET", space+"/api/actions/connectors", ""), http.StatusOK, "["+listed(hidden)+","+listed(shown)+"]")
	}
}

func TestPreconfiguredConnectorCannotBeChanged(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{preconfigured: oneServerLog})
	for _, space := range []string{"", "/s/ops"} {
		path := space + "/api/actions/connector/log"
		b.wantError(b.send("POST", path, serverLogBody), http.StatusBadRequest, "This log already exists in a preconfigured action.")
		b.wantError(b.send("PUT", path, `{"name":"x"}`), http.StatusBadRequest, "Preconfigured action log can not be updated.")
		b.wantError(b.send("DELETE", path, ""), http.StatusBadRequest, "Preconfigured action log is not allowed to delete.")
	}
	if got := b.field(b.send("GET", "/api/actions/connector/log", ""), "name"); got != "Preconfigured log" {
		t.Errorf("name %q", got)
	}
}

func TestPreconfiguredConnectorHidesAStoredOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("log", indexBody)
	var err error
	if b.server.preconfigured, err = testKeeper.loadPreconfigured(writeConfig(t, oneServerLog)); err != nil {
		t.Fatal(err)
	}
	b.wantAnswer(b.send("GET", "/api/actions/connectors", ""), http.StatusOK,
		`[{"id":"log","name":"Preconfigured log","connector_type_id":".server-log",
		   "is_preconfigured":true,"is_deprecated":false,"is_system_action":false,"referenced_by_count":0}]`)
}

func TestConfigurationFileNeedsNoConnectors(t *testing.T) {
	t.Parallel()
	for _, yaml := range []string{"{}", "preconfigured: {}"} {
		if got, err := testKeeper.loadPreconfigured(writeConfig(t, yaml)); err != nil || len(got) != 0 {
			t.Errorf("%q: %v, %v", yaml, got, err)
		}
	}
	if got, err := testKeeper.loadPreconfigured(""); err != nil || got != nil {
		t.Errorf("without a file: %v, %v", got, err)
	}
}

func TestBadConfigurationFileIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ yaml, want string }{
		"unknown key at the top": {"foo: 1\n", "[foo]: definition for this key is missing"},
		"a list":                 {"preconfigured: []\n", "[preconfigured]: expected value of type [object] but got [Array]"},
		"an entry that is none":  {"preconfigured: {a: 7}\n", "[preconfigured.a]: expected a plain object value, but found [number] instead."},
		"no name":                {"preconfigured: {a: {actionTypeId: .server-log}}\n", "[preconfigured.a.name]: expected value of type [string] but got [undefined]"},
		"blank name":             {"preconfigured: {a: {name: ' ', actionTypeId: .server-log}}\n", "[preconfigured.a.name]: value '' is not valid"},
		"NUL in the name":        {"preconfigured: {a: {name: \"x\\0\", actionTypeId: .server-log}}\n", "[preconfigured.a.name]: value has a NUL character"},
		"name that is a number":  {"preconfigured: {a: {name: 7, actionTypeId: .server-log}}\n", "[preconfigured.a.name]: expected value of type [string] but got [number]"},
		"no type":                {"preconfigured: {a: {name: A}}\n", "[preconfigured.a.actionTypeId]: expected value of type [string] but got [undefined]"},
		"unknown type":           {"preconfigured: {a: {name: A, actionTypeId: .nope}}\n", `[preconfigured.a]: Action type ".nope" is not registered.`},
		"unknown key":            {"preconfigured: {a: {name: A, actionTypeId: .server-log, isNew: true}}\n", "[preconfigured.a.isNew]: definition for this key is missing"},
		"modern spelling":        {"preconfigured: {a: {name: A, connector_type_id: .server-log}}\n", "[preconfigured.a.actionTypeId]: expected value of type [string] but got [undefined]"},
		"wrong flag":             {"preconfigured: {a: {name: A, actionTypeId: .server-log, exposeConfig: maybe}}\n", "[preconfigured.a.exposeConfig]: expected value of type [boolean] but got [string]"},
		"config of wrong type":   {"preconfigured: {a: {name: A, actionTypeId: .index, config: []}}\n", "[preconfigured.a.config]: expected value of type [object] but got [Array]"},
		"config lacks a field":   {"preconfigured: {a: {name: A, actionTypeId: .index}}\n", "[preconfigured.a]: error validating action type config: [index]: expected value of type [string] but got [undefined]"},
		"secrets of none":        {"preconfigured: {a: {name: A, actionTypeId: .server-log, secrets: {password: hunter2}}}\n", "[preconfigured.a]: error validating action type secrets: [password]: definition for this key is missing"},
		"bad id":                 {"preconfigured: {a/b: {name: A, actionTypeId: .server-log}}\n", "[preconfigured.a/b]: " + idRule},
		"empty id":               {"preconfigured: {'': {name: A, actionTypeId: .server-log}}\n", "[preconfigured.]: " + idRule},
		"an id twice":            {"preconfigured:\n  a: {name: A, actionTypeId: .server-log}\n  a: {name: B, actionTypeId: .server-log}\n", `key "a" already set in map`},
		"not YAML":               {"preconfigured: {\n", "yaml: line"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := writeConfig(t, test.yaml)
			_, err := testKeeper.loadPreconfigured(file)
			if err == nil {
				t.Fatal("no error")
			}
			if got := err.Error(); !strings.HasPrefix(got, "PATCHBAY_CONFIG: "+file+": ") || !strings.Contains(got, test.want) {
				t.Errorf("error %q, want PATCHBAY_CONFIG, the file and %q", got, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error shows a secret: %v", err)
			}
		})
	}
}

func TestMissingConfigurationFileIsNamed(t *testing.T) {
	t.Parallel()
	_, err := testKeeper.loadPreconfigured("/nonexistent/patchbay.yaml")
	if err == nil || !strings.Contains(err.Error(), "PATCHBAY_CONFIG: open /nonexistent/patchbay.yaml: no such file") {
		t.Errorf("error %v", err)
	}
}

func TestConfigurationFileOfCommentsHasNoConnectors(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing yet\n", "preconfigured: {}"} {
		if got, err := testKeeper.parsePreconfigured([]byte(text)); err != nil || len(got) != 0 {
			t.Errorf("%q: %v, %v, want no connectors", text, got, err)
		}
	}
}
