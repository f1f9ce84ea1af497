package connector_test

import (
	"testing"

	"patchbay.dev/shared/connector"
)

func TestServerLogNormalizesConfig(t *testing.T) {
	t.Parallel()
	for _, config := range []string{`{}`, ` { } `, ``, `"{}"`} {
		got, _, err := connector.ServerLog.Normalize([]byte(config), nil, connector.AllHosts())
		if err != nil || string(got) != `{}` {
			t.Errorf("Normalize(%q) = %s, %v, want {}", config, got, err)
		}
	}
}

func TestServerLogRefusesConfig(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{
		`{"jim":"bob"}`: "error validating action type config: [jim]: definition for this key is missing",
		`null`:          "error validating action type config: expected a plain object value, but found [null] instead.",
	} {
		if got := message(connector.ServerLog.Normalize([]byte(config), nil, connector.AllHosts())); got != want {
			t.Errorf("Normalize(%s)\n got %s\nwant %s", config, got, want)
		}
	}
}

func TestServerLogDecodesParams(t *testing.T) {
	t.Parallel()
	for params, want := range map[string]connector.ServerLogParams{
		`{"message":""}`:                        {Message: "", Level: "info"},
		`{"message":" a\nb "}`:                  {Message: " a\nb ", Level: "info"},
		`{"level":"trace","message":"<\u003e"}`: {Message: "<>", Level: "trace"},
		`{"message":"x","level":"debug"}`:       {Message: "x", Level: "debug"},
		`{"message":"x","level":"info"}`:        {Message: "x", Level: "info"},
		`{"message":"x","level":"warn"}`:        {Message: "x", Level: "warn"},
		`{"message":"x","level":"error"}`:       {Message: "x", Level: "error"},
		`{"message":"x","level":"fatal"}`:       {Message: "x", Level: "fatal"},
	} {
		got, err := connector.ServerLog.Params([]byte(params))
		if err != nil || got != want {
			t.Errorf("Params(%s) = %+v, %v, want %+v", params, got, err, want)
		}
	}
}

func TestServerLogRefusesParams(t *testing.T) {
	t.Parallel()
	const prefix = "error validating action params: "
	const noLevel = "[level]: types that failed validation:" +
		"\n- [level.0]: expected value to equal [trace]" +
		"\n- [level.1]: expected value to equal [debug]" +
		"\n- [level.2]: expected value to equal [info]" +
		"\n- [level.3]: expected value to equal [warn]" +
		"\n- [level.4]: expected value to equal [error]" +
		"\n- [level.5]: expected value to equal [fatal]"
	for params, want := range map[string]string{
		`{}`:                             "[message]: expected value of type [string] but got [undefined]",
		``:                               "[message]: expected value of type [string] but got [undefined]",
		`{"message":1}`:                  "[message]: expected value of type [string] but got [number]",
		`{"message":null}`:               "[message]: expected value of type [string] but got [null]",
		`{"message":"x","level":2}`:      noLevel,
		`{"message":"x","level":"foo"}`:  noLevel,
		`{"message":"x","level":"INFO"}`: noLevel,
		`{"message":"x","level":null}`:   noLevel,
		`{"message":"x","foo":"bar"}`:    "[foo]: definition for this key is missing",
	} {
		if got := message(connector.ServerLog.Params([]byte(params))); got != prefix+want {
			t.Errorf("Params(%s)\n got %s\nwant %s", params, got, prefix+want)
		}
	}
}
