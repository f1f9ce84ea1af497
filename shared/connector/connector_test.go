package connector_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/schema"
	"patchbay.dev/shared/wire"
)

func TestAllTypesAreComplete(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	subjects := make(map[string]string)
	for _, d := range connector.All {
		about := d.Describe()
		if seen[about.ID] {
			t.Errorf("%s: there are two of it", about.ID)
		}
		seen[about.ID] = true
		if !strings.HasPrefix(about.ID, ".") {
			t.Errorf("%s: the id does not begin with a dot", about.ID)
		}
		subject, err := wire.Subject(about.ID)
		if err != nil {
			t.Errorf("%s: %v", about.ID, err)
		}
		if other, ok := subjects[subject]; ok {
			t.Errorf("%s shares the subject %s with %s", about.ID, subject, other)
		}
		subjects[subject] = about.ID
		if about.Name == "" || about.License == "" || len(about.Features) == 0 {
			t.Errorf("%s: not all is told of it: %+v", about.ID, about)
		}
		found, err := connector.Find(about.ID)
		if err != nil || !reflect.DeepEqual(found.Describe(), about) {
			t.Errorf("Find(%s) = %+v, %v", about.ID, found, err)
		}
	}
}

// An unknown key must not slip through: it would be a setting that does nothing,
// or a secret kept in config, in the clear.
func TestAllTypesRefuseUnknownConfig(t *testing.T) {
	t.Parallel()
	const config = `{"no such key":1}`
	for _, d := range connector.All {
		_, _, err := d.Normalize([]byte(config), nil, connector.AllHosts())
		invalid, ok := errors.AsType[*connector.Invalid](err)
		if !ok || invalid.Part != "type config" {
			t.Errorf("%s: Normalize(%s) = %v, want a refused config", d.Describe().ID, config, err)
		}
		if refusal, ok := errors.AsType[*schema.Error](err); !ok || len(refusal.Path) == 0 {
			t.Errorf("%s: the refusal names no key: %v", d.Describe().ID, err)
		}
	}
}

// configs has for every type a config that it takes.
var configs = map[string]string{
	".index":      `{"index":"i"}`,
	".jira":       `{"apiUrl":"https://jira.example.com","projectKey":"K"}`,
	".server-log": `{}`,
}

func TestTypesWithoutSecretsTakeNone(t *testing.T) {
	t.Parallel()
	for _, d := range connector.All {
		id := d.Describe().ID
		config, ok := configs[id]
		if !ok {
			t.Errorf("%s: this test has no config for it", id)
		}
		if d.HasSecrets() {
			continue
		}
		for _, secrets := range []string{"", "{}", `"{}"`} {
			if _, _, err := d.Normalize([]byte(config), []byte(secrets), connector.AllHosts()); err != nil {
				t.Errorf("%s: secrets %q are refused: %v", id, secrets, err)
			}
		}
		for secrets, want := range map[string]string{
			`{"x":"s3cret"}`:       "error validating action type secrets: [x]: definition for this key is missing",
			`{"x":null}`:           "error validating action type secrets: [x]: definition for this key is missing",
			`"{\"x\":\"s3cret\"}"`: "error validating action type secrets: [x]: definition for this key is missing",
			`null`:                 "error validating action type secrets: expected a plain object value, but found [null] instead.",
			`["s3cret"]`:           "error validating action type secrets: expected a plain object value, but found [Array] instead.",
			`"s3cret"`:             "error validating action type secrets: could not parse object value from json input",
		} {
			if got := message(d.Normalize([]byte(config), []byte(secrets), connector.AllHosts())); got != want {
				t.Errorf("%s: secrets %s\n got %s\nwant %s", id, secrets, got, want)
			}
		}
	}
}

func TestHasSecretsLooksAtTheStruct(t *testing.T) {
	t.Parallel()
	if connector.Index.HasSecrets() || connector.ServerLog.HasSecrets() {
		t.Error("a type without secrets has some")
	}
	if !guarded.HasSecrets() {
		t.Error("a type with secrets has none")
	}
}

// guarded is a type with secrets and a rule over both parts.
var guarded = connector.Type[guardedConfig, guardedSecrets, connector.None]{
	About: connector.About{ID: ".guarded"},
	Check: func(c guardedConfig, s guardedSecrets) error {
		if c.Auth && s.Password == nil {
			return errors.New("password is required when auth is on")
		}
		return nil
	},
}

type guardedConfig struct {
	URL  string `json:"url"`
	Auth bool   `json:"auth" default:"true"`
}

type guardedSecrets struct {
	Password *string `json:"password"`
}

// Kibana checks config, then secrets, then both together.
func TestConnectorChecksInKibanasOrder(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ config, secrets, want string }{
		{`{"url":1}`, `{"x":1}`, "error validating action type config: [url]: expected value of type [string] but got [number]"},
		{``, ``, "error validating action type config: [url]: expected value of type [string] but got [undefined]"},
		{`{"url":"u"}`, `{"x":1}`, "error validating action type secrets: [x]: definition for this key is missing"},
		{`{"url":"u"}`, `{}`, "error validating action type connector: password is required when auth is on"},
		{`{"url":"u"}`, ``, "error validating action type connector: password is required when auth is on"},
		{`{"url":"u"}`, `{"password":"p"}`, ""},
		{`{"url":"u","auth":false}`, ``, ""},
	} {
		_, _, err := guarded.Connector([]byte(tt.config), []byte(tt.secrets), connector.AllHosts())
		if got := message(nil, err); got != tt.want {
			t.Errorf("Connector(%s, %s)\n got %s\nwant %s", tt.config, tt.secrets, got, tt.want)
		}
	}
}

func TestNormalizeKeepsSecretsApart(t *testing.T) {
	t.Parallel()
	got, secrets, err := guarded.Normalize([]byte(`{"url":"u"}`), []byte(`{"password":"s3cret"}`), connector.AllHosts())
	if want := `{"url":"u","auth":true}`; err != nil || string(got) != want {
		t.Errorf("Normalize = %s, %v, want %s", got, err, want)
	}
	if want := `{"password":"s3cret"}`; string(secrets) != want {
		t.Errorf("secrets = %s, want %s", secrets, want)
	}
}

func TestFindTellsAnUnknownType(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", ".", "index", ".Index", ".index ", ".nope"} {
		if d, err := connector.Find(id); !errors.Is(err, connector.ErrUnknown) || d != nil {
			t.Errorf("Find(%q) = %+v, %v, want ErrUnknown", id, d, err)
		}
	}
}

// message is the text of an error, "" for none.
func message(results ...any) string {
	err, _ := results[len(results)-1].(error)
	if err == nil {
		return ""
	}
	return err.Error()
}
