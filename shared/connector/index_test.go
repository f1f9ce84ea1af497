package connector_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/schema"
)

// What is stored and answered: defaults filled in, fields in their order.
func TestIndexNormalizesConfig(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{
		`{"index":"test-index"}`: `{"index":"test-index","refresh":false,"executionTimeField":null}`,
		`{"executionTimeField":"@timestamp","refresh":true,"index":"i"}`: `{"index":"i","refresh":true,"executionTimeField":"@timestamp"}`,
		`{"index":"","executionTimeField":""}`:                           `{"index":"","refresh":false,"executionTimeField":""}`,
		`{"index":"i","refresh":"TRUE","executionTimeField":null}`:       `{"index":"i","refresh":true,"executionTimeField":null}`,
		` { "index" : "<a>&\u003c\u0041\/\"\\ü😀" } `:                     `{"index":"<a>&<A/\"\\ü😀","refresh":false,"executionTimeField":null}`,
		`"{\"index\":\"i\"}"`:                                            `{"index":"i","refresh":false,"executionTimeField":null}`,
		`{"index":"old","index":"new"}`:                                  `{"index":"new","refresh":false,"executionTimeField":null}`,
	} {
		got, _, err := connector.Index.Normalize([]byte(config), nil, connector.AllHosts())
		if err != nil || string(got) != want {
			t.Errorf("Normalize(%s) = %v\n got %s\nwant %s", config, err, got, want)
			continue
		}
		again, _, err := connector.Index.Normalize(got, nil, connector.AllHosts())
		if err != nil || string(again) != want {
			t.Errorf("Normalize of a normal config = %v\n got %s\nwant %s", err, again, want)
		}
	}
}

func TestIndexRefusesConfig(t *testing.T) {
	t.Parallel()
	const prefix = "error validating action type config: "
	for config, want := range map[string]string{
		`{}`:                                 "[index]: expected value of type [string] but got [undefined]",
		``:                                   "[index]: expected value of type [string] but got [undefined]",
		`{"index":null}`:                     "[index]: expected value of type [string] but got [null]",
		`{"index":666}`:                      "[index]: expected value of type [string] but got [number]",
		`{"index":["a"]}`:                    "[index]: expected value of type [string] but got [Array]",
		`{"index":"i","refresh":1}`:          "[refresh]: expected value of type [boolean] but got [number]",
		`{"index":"i","refresh":"wait_for"}`: "[refresh]: expected value of type [boolean] but got [string]",
		`{"index":"i","refresh":null}`:       "[refresh]: expected value of type [boolean] but got [null]",
		`{"index":"i","executionTimeField":1}`: "[executionTimeField]: types that failed validation:" +
			"\n- [executionTimeField.0]: expected value of type [string] but got [number]" +
			"\n- [executionTimeField.1]: expected value to equal [null]",
		`{"index":"i","_index":"x"}`: "[_index]: definition for this key is missing",
		`{"Index":"i"}`:              "[index]: expected value of type [string] but got [undefined]",
		`null`:                       "expected a plain object value, but found [null] instead.",
		`["index"]`:                  "expected a plain object value, but found [Array] instead.",
		`"i"`:                        "could not parse object value from json input",
	} {
		if got := message(connector.Index.Normalize([]byte(config), nil, connector.AllHosts())); got != prefix+want {
			t.Errorf("Normalize(%s)\n got %s\nwant %s", config, got, prefix+want)
		}
	}
}

func TestIndexDecodesParams(t *testing.T) {
	t.Parallel()
	override := connector.AlertHistoryIndex("kibana-alert-history-default")
	for params, want := range map[string]connector.IndexParams{
		`{"documents":[]}`: {Documents: []schema.Record{}},
		`{"documents":[{"b":1.0,"a":"\u0041"},"{\"c\": 1}",{}],"indexOverride":null}`: {
			Documents: []schema.Record{schema.Record(`{"b":1.0,"a":"\u0041"}`), schema.Record(`{"c": 1}`), schema.Record(`{}`)},
		},
		`{"documents":[{"":" "}],"indexOverride":"kibana-alert-history-default"}`: {
			Documents: []schema.Record{schema.Record(`{"":" "}`)}, IndexOverride: &override,
		},
		`{"documents":"[{\"a\":1}]"}`: {Documents: []schema.Record{schema.Record(`{"a":1}`)}},
	} {
		got, err := connector.Index.Params([]byte(params))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Params(%s) = %v\n got %s\nwant %s", params, err, asJSON(got), asJSON(want))
		}
	}
}

func TestIndexRefusesParams(t *testing.T) {
	t.Parallel()
	const prefix = "error validating action params: "
	const notHistory = "[indexOverride]: types that failed validation:" +
		"\n- [indexOverride.0]: index must start with \"kibana-alert-history-\"" +
		"\n- [indexOverride.1]: expected value to equal [null]"
	for params, want := range map[string]string{
		`{}`:                                    "[documents]: expected value of type [array] but got [undefined]",
		``:                                      "[documents]: expected value of type [array] but got [undefined]",
		`{"documents":null}`:                    "[documents]: expected value of type [array] but got [null]",
		`{"documents":{"a":1}}`:                 "[documents]: expected value of type [array] but got [Object]",
		`{"documents":"a"}`:                     "[documents]: could not parse array value from json input",
		`{"documents":[{},1]}`:                  "[documents.1]: expected value of type [object] but got [number]",
		`{"documents":[null]}`:                  "[documents.0]: expected value of type [object] but got [null]",
		`{"documents":[[]]}`:                    "[documents.0]: expected value of type [object] but got [Array]",
		`{"documents":["should be an object"]}`: "[documents.0]: could not parse record value from json input",
		`{"documents":[],"jim":"bob"}`:          "[jim]: definition for this key is missing",
		`{"jim":"bob"}`:                         "[documents]: expected value of type [array] but got [undefined]",
		`{"documents":[],"indexOverride":"my-index"}`:               notHistory,
		`{"documents":[],"indexOverride":""}`:                       notHistory,
		`{"documents":[],"indexOverride":"Kibana-alert-history-x"}`: notHistory,
		`{"documents":[],"indexOverride":1}`: "[indexOverride]: types that failed validation:" +
			"\n- [indexOverride.0]: expected value of type [string] but got [number]" +
			"\n- [indexOverride.1]: expected value to equal [null]",
		`null`: "expected a plain object value, but found [null] instead.",
	} {
		if got := message(connector.Index.Params([]byte(params))); got != prefix+want {
			t.Errorf("Params(%s)\n got %s\nwant %s", params, got, prefix+want)
		}
	}
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
