package jira_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/schema"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/jira"
	"patchbay.dev/worker/jira/jiratest"
	"patchbay.dev/worker/outbound"
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
	for word := range strings.FieldsSeq(text) {
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
		_, _ = b.run(t, b.job(t, params))
		var body struct{ Fields map[string]json.RawMessage }
		if err := json.Unmarshal(sent, &body); err != nil {
			t.Fatalf("sent %s: %v", sent, err)
		}
		fields := parsed.Action.(*connector.JiraPushToService).Params.Incident.OtherFields
		if fields == nil {
			return
		}
		last := maps.Collect(schema.Members(*fields))
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

// readings are params that change nothing, writings those that do.
var (
	readings = []string{
		getTypes, `{"subAction":"fieldsByIssueType","subActionParams":{"id":"1"}}`, `{"subAction":"getFields","subActionParams":{}}`,
		`{"subAction":"issue","subActionParams":{"id":"CK-1"}}`, `{"subAction":"getIncident","subActionParams":{"externalId":"CK-1"}}`,
		fmt.Sprintf(issuesOf, `"t"`),
	}
	writings = []string{
		push(`{"summary":"s","issueType":"1"}`, `[{"comment":"c","commentId":"1"}]`), push(`{"summary":"s","externalId":"CK-1"}`, `null`),
	}
)

// FuzzAnswer has Jira answer anything: it becomes JSON or words, without the
// token, and what only reads never ends in an unknown outcome.
func FuzzAnswer(f *testing.F) {
	all := append(readings[:len(readings):len(readings)], writings...)
	for _, body := range []string{
		`{"issueTypes":[{"id":"1","name":"Bug"}],"total":1}`, `{"values":[{"fieldId":"summary","required":true,"schema":{},"name":"S"}],"isLast":true}`,
		`{"id":"1","key":"CK-1","fields":{"summary":"s","created":"2026-01-02T03:04:05.678+0000","updated":"2026-01-02T03:04:05.678+0000"},"created":"2026-01-02T03:04:05.678+0100"}`,
		`{"issues":[{"id":"1","key":"CK-1","fields":{"summary":null}}],"nextPageToken":"x"}`, `{"issues":[],"total":9}`, `{"isLast":null,"total":"1","values":[{}]}`,
		`{"errorMessages":["no ` + token + `",1,null],"errors":{}}`, `{"errors":{"a":"b","c":{"d":[]}}}`, `{"errors":["x"]}`, `[]`, `null`, ` `, `<html>`, `"` + token + `"`,
		strings.Repeat(`{"values":[`, 5000), "{\"id\":\"1\",\"key\":\"\xff\",\"fields\":{}}", `{"id":1,"key":{},"fields":[]}`,
		`{"id":"1","key":"CK-1","fields":{"summary":"` + token + `"}}`,
	} {
		for which := range all {
			for _, status := range []int{0, 102, 200, 300} { // and 200
				f.Add(which, status, "application/json;charset=UTF-8", "5", []byte(body))
			}
		}
		f.Add(0, 0, "text/html", "", []byte(body))
	}
	layer := outbound.New(outbound.Policy{Hosts: connector.AllHosts(), CIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, MaxResponse: 64 << 10})
	var answer atomic.Pointer[http.HandlerFunc]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*answer.Load())(w, r) }))
	b := &bundle{Server: jiratest.Start(), executor: jira.New(layer), at: server.URL}
	f.Cleanup(func() { layer.Close(); server.Close(); b.Close() })
	f.Fuzz(func(t *testing.T, which, status int, contentType, after string, body []byte) {
		status = 200 + int(uint(status)%400)
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", after)
			always(status, contentType, string(body))(w, r)
		})
		answer.Store(&handler)
		which = int(uint(which) % uint(len(all)))
		data, failure := b.run(t, b.job(t, all[which]))
		said := data
		if failure == nil {
			if !json.Valid([]byte(data)) || !utf8.ValidString(data) {
				t.Errorf("data is no JSON: %q", data)
			}
			if status > 299 {
				t.Errorf("success with status %d", status)
			}
		} else {
			said = failure.ServiceMessage
			if !strings.HasPrefix(said, "[Action][Jira]: ") || failure.Message == "" {
				t.Errorf("failure %+v", failure)
			}
			if failure.Unknown && (which < len(readings) || failure.Retry != wire.RetryNever()) {
				t.Errorf("%s: unknown outcome: %+v", all[which], failure)
			}
		}
		if strings.Contains(said, token) {
			t.Errorf("the token is shown: %s", said)
		}
	})
}
