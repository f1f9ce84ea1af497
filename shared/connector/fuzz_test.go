package connector_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/schema"
)

// FuzzNormalize finds for every type that a config and secrets are refused in
// Kibana's words or kept in a form that is taken again and stays as it is.
func FuzzNormalize(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"index":"alerts","refresh":"TRUE","executionTimeField":null}`, `{}`},
		{`{"apiUrl":"https://jira.example.com","projectKey":"CK"}`, `{"email":"a@example.com","apiToken":"t"}`},
		{`{"apiUrl":"https://u:p@jira.example.com","projectKey":"<&>\u2028"}`, `"{\"email\":\"\",\"apiToken\":\"\\ud800\"}"`},
		{`{"apiUrl":"//u:p@h","projectKey":"a"}`, `{"email":null}`}, {`{}`, ``}, {`null`, `[]`}, {`{"index":{}}`, `{"a":1}`},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, config, secrets []byte) {
		if schema.Check(config, schema.MaxDepth) != nil || len(secrets) > 0 && schema.Check(secrets, schema.MaxDepth) != nil {
			return
		}
		for _, d := range connector.All {
			id := d.Describe().ID
			keptConfig, keptSecrets, err := d.Normalize(config, secrets, connector.AllHosts())
			if err != nil {
				wantInvalid(t, id, err)
				continue
			}
			for _, kept := range [][]byte{keptConfig, keptSecrets} {
				if schema.Check(kept, schema.MaxDepth) != nil || !utf8.Valid(kept) {
					t.Errorf("%s: kept is %q, which is no JSON", id, kept)
				}
			}
			againConfig, againSecrets, err := d.Normalize(keptConfig, keptSecrets, connector.AllHosts())
			if err != nil || !bytes.Equal(againConfig, keptConfig) || !bytes.Equal(againSecrets, keptSecrets) {
				t.Errorf("%s: kept %s and %s, then %v, %s and %s", id, keptConfig, keptSecrets, err, againConfig, againSecrets)
			}
		}
	})
}

// FuzzParams finds that params are refused in Kibana's words or taken, for no
// more memory than a small multiple of what was sent.
func FuzzParams(f *testing.F) {
	for _, seed := range []string{
		`{"message":"m","level":"warn"}`, `{"documents":[{"a":1},{}],"indexOverride":"kibana-alert-history-x"}`, `{"documents":"[{}]"}`,
		`{"subAction":"pushToService","subActionParams":{"incident":{"summary":"s","labels":["a"],"otherFields":{"x":1}},"comments":[{"comment":"c","commentId":"1"}]}}`,
		`{"subAction":"getFields"}`, `{"subAction":"issues","subActionParams":{"title":" "}}`, `{"subAction":"pushToService","subActionParams":"{\"incident\":{\"summary\":\"s\"}}"}`,
		`{"subAction":"issue","subActionParams":{"id":""},"more":{}}`, `null`, `{}`, `"{}"`, `{"documents":[` + strings.Repeat(`{},`, 100) + `1]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, params []byte) {
		if schema.Check(params, schema.MaxDepth) != nil {
			return
		}
		before := bytes.Clone(params)
		for id, decode := range map[string]func([]byte) (any, error){
			connector.ServerLog.ID: func(raw []byte) (any, error) { return connector.ServerLog.Params(raw) },
			connector.Index.ID:     func(raw []byte) (any, error) { return connector.Index.Params(raw) },
			connector.Jira.ID:      func(raw []byte) (any, error) { return connector.Jira.Params(raw) },
		} {
			var v any
			var err error
			if n := allocated(func() { v, err = decode(params) }); n > 64<<10+200*len(params) {
				t.Errorf("%s: %d bytes took %d bytes of memory", id, len(params), n)
			}
			if err != nil {
				wantInvalid(t, id, err)
			} else if _, err := json.Marshal(v); err != nil {
				t.Errorf("%s: what was taken is no JSON: %v", id, err)
			}
		}
		if !bytes.Equal(params, before) {
			t.Errorf("the params were changed to %q", params)
		}
	})
}

// FuzzHosts finds that a URL is allowed for nothing but the host that it leads to.
func FuzzHosts(f *testing.F) {
	for _, raw := range []string{
		"https://good.test/x", "https://GOOD.test:8443", "https://good.test@evil.test", "https://evil.test#@good.test", `https://evil.test\@good.test`,
		"https://good.test.evil.test", "//good.test", "good.test", "https://[::1]", "https://good.test%00.evil.test", "javascript://good.test/%0aalert(1)",
	} {
		f.Add(raw)
	}
	hosts := connector.Hosts{"good.test", "::1"}
	f.Fuzz(func(t *testing.T, raw string) {
		if hosts.Check(raw) != nil {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || !slices.Contains(hosts, strings.ToLower(u.Hostname())) {
			t.Errorf("%q is allowed, it leads to %v, %v", raw, u, err)
		}
		if connector.Hosts(nil).Check(raw) == nil {
			t.Errorf("%q is allowed by an empty list", raw)
		}
	})
}

func wantInvalid(t *testing.T, id string, err error) {
	t.Helper()
	if invalid, ok := errors.AsType[*connector.Invalid](err); !ok || !strings.HasPrefix(invalid.Error(), "error validating action ") {
		t.Errorf("%s: error %v, want an *Invalid with words", id, err)
	}
}

// allocated returns the bytes that f takes from the heap, freed or not.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}
