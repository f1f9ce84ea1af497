package jira_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/schema"
	"patchbay.dev/worker/jira/jiratest"
)

// FuzzTitle reads the query back with a parser of its own.
func FuzzTitle(f *testing.F) {
	for _, seed := range []string{"disk is full", `a"b\c'd`, `NOT a || b && !c`, "\x00\n\t\u0085", `\" OR x = "`, "ä😀"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, title string) {
		title = strings.ToValidUTF8(title, "")
		b := &bundle{Server: jiratest.Start(), executor: newExecutor(t)}
		defer b.Close()
		quoted, err := json.Marshal(title)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = b.run(t, b.job(t, fmt.Sprintf(issuesOf, quoted)))
		u, err := url.Parse(b.Requests()[0].URI)
		if err != nil {
			t.Fatal(err)
		}
		rest, ok := strings.CutPrefix(u.Query().Get("jql"), `project="CK" and summary ~"`)
		text, end := unquote(rest)
		if !ok || end != "" || !strings.EqualFold(unescape(t, text), title) {
			t.Errorf("title %q became %s", title, u.Query().Get("jql"))
		}
	})
}

// unquote reads a JQL string up to its closing quote.
func unquote(text string) (inside, rest string) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			return b.String(), text[i+1:]
		case text[i] != '\\':
			b.WriteByte(text[i])
		case strings.HasPrefix(text[i:], `\u`):
			var r rune
			_, _ = fmt.Sscanf(text[i+2:i+6], "%04x", &r)
			b.WriteRune(r)
			i += 5
		default:
			i++
			b.WriteByte(text[i])
		}
	}
	return b.String(), "no closing quote"
}

// unescape reads a text search that has no meaning but its words.
func unescape(t *testing.T, text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		} else if strings.IndexByte(`-!^+&*()[]/{}|:?~"\`, text[i]) >= 0 {
			t.Errorf("%q has an unescaped %c", text, text[i])
		}
		b.WriteByte(text[i])
	}
	for _, word := range strings.Fields(text) {
		if word == "AND" || word == "OR" || word == "NOT" {
			t.Errorf("%q has the operator %s", text, word)
		}
	}
	return b.String()
}

// FuzzOtherFields sends whatever the contract takes as it came.
func FuzzOtherFields(f *testing.F) {
	for _, seed := range []string{
		`{"customfield_1":"x"}`, `{"a":1e999,"b":[],"c":{"d":null}}`, `"{\"a\":\"\\ud800\"}"`, `{"project":{"key":"X"},"issuetype":null}`, `{"<&>":"<&>\u2028"}`,
		`{"a":1,"a":2}`, `{"":""}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, other string) {
		params := push(`{"summary":"s","issueType":"1","otherFields":`+other+`}`, `null`)
		if schema.Check([]byte(params), schema.MaxDepth) != nil {
			t.Skip()
		}
		parsed, err := connector.Jira.Params([]byte(params))
		if err != nil {
			t.Skip()
		}
		var sent []byte
		b := scripted(t, func(w http.ResponseWriter, r *http.Request) {
			sent, _ = io.ReadAll(r.Body)
			always(400, "application/json", `{}`)(w, r)
		})
		b.run(t, b.job(t, params))
		var body struct{ Fields map[string]json.RawMessage }
		if err := json.Unmarshal(sent, &body); err != nil {
			t.Fatalf("sent %s: %v", sent, err)
		}
		fields := parsed.Action.(*connector.JiraPushToService).Params.Incident.OtherFields
		if fields == nil {
			return
		}
		last := make(map[string][]byte)
		for name, value := range schema.Members(*fields) {
			last[name] = value
		}
		for name, value := range last {
			want, got := compact(t, value), compact(t, body.Fields[strings.ToValidUTF8(name, "\ufffd")])
			if want != got {
				t.Errorf("field %q: sent %s, want %s", name, got, want)
			}
		}
	})
}

func compact(t *testing.T, value []byte) string {
	t.Helper()
	var b strings.Builder
	enc := json.NewEncoder(&b)
	if err := enc.Encode(json.RawMessage(value)); err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	return b.String()
}
