package index

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"patchbay.dev/shared/wire"
)

// answers are what clusters, proxies and those who pose as one may say.
var answers = []string{
	`{"took":30,"errors":false,"items":[{"create":{"_index":"a","_id":"1","_version":1,"result":"created","_seq_no":0,"status":201}}]}`,
	`{"errors":true,"took":1,"items":[{"create":{"_index":"a","status":400,"error":{"type":"mapper_parsing_exception","reason":"no","caused_by":{"type":"t","reason":"why"}}}}]}`,
	`{"errors":true,"items":[{"create":{"status":429,"error":{"type":"es_rejected_execution_exception"}}}]}`,
	`{"error":{"root_cause":[{"type":"security_exception","reason":"r"}],"type":"security_exception","reason":"r","caused_by":{"type":"c"}},"status":403}`,
	`{"error":"text","status":500}`, `{"error":[],"errors":false,"items":null}`, `<html>502</html>`, ``, `null`, `[]`, `{"took":1,`,
	`{"took" : 1 , "errors" : false , "items" : [ {"x":{}} ] }`, `{"\u0065rrors":false,"it\u0065ms":[]}`, `{"errors":false,"a":{"items":[]},"items":[]}`,
	`{"errors":false,"items":[{"create":{"status":201},"index":{"status":400}}]}`, `{"errors":false,"ERRORS":true,"items":[{"create":{"status":201}}]}`,
	"{\"errors\":false,\"_\":\"\xff\",\"items\":[]}",
	`{"error":{"type":"a","root_cause":[` + strings.Repeat(`{},`, 2000) + `{}]}}`, strings.Repeat(`{"error":`, 100) + `1` + strings.Repeat(`}`, 100),
}

// FuzzBulkAnswer holds success against a plain reading of the answer.
func FuzzBulkAnswer(f *testing.F) {
	for _, a := range answers {
		f.Add([]byte(a), 1)
	}
	f.Fuzz(func(t *testing.T, answer []byte, n int) {
		err := checkItems(answer, n)
		if failure, ok := errors.AsType[*wire.Failure](err); err != nil && (!ok || failure.ServiceMessage == "") {
			t.Fatalf("error %#v, want a *wire.Failure with words", err)
		}
		if err != nil {
			return
		}
		var plain struct {
			Errors any                  `json:"errors"`
			Items  []map[string]outcome `json:"items"`
		}
		if err := json.Unmarshal(answer, &plain); err != nil || !utf8.Valid(answer) {
			t.Fatalf("success on what is no JSON: %v\n%q", err, answer)
		}
		if plain.Errors != false || len(plain.Items) != n {
			t.Errorf("success with errors %v and %d items of %d", plain.Errors, len(plain.Items), n)
		}
		for _, item := range plain.Items {
			for _, o := range item {
				if len(item) != 1 || o.Status < 200 || o.Status > 299 {
					t.Errorf("success with the item %+v", item)
				}
			}
		}
	})
}

type outcome struct {
	Status int `json:"status"`
}

// FuzzRefusal holds the promise of an error status: never success, no word of an
// unknown outcome from Elasticsearch itself, and no advice that is past.
func FuzzRefusal(f *testing.F) {
	for i, a := range answers {
		f.Add(400+100*(i%2)+i, []byte(a), "120", i%3 == 0)
	}
	f.Fuzz(func(t *testing.T, status int, body []byte, after string, own bool) {
		header := http.Header{"Retry-After": {after}}
		if own {
			header.Set("X-Elastic-Product", "Elasticsearch")
		}
		var failure *wire.Failure
		if n := allocated(func() { failure = refusedByCluster(status, header, body, clock) }); n > 64<<10+200*len(body) {
			t.Errorf("%d bytes took %d bytes of memory", len(body), n)
		}
		if failure.ServiceMessage == "" {
			t.Error("a failure without words")
		}
		if own && failure.Unknown {
			t.Error("Elasticsearch's own refusal is an unknown outcome")
		}
		if failure.Unknown && failure.Retry != wire.RetryNever() {
			t.Error("an unknown outcome may be tried again")
		}
		if encoded, err := wire.Encode(wire.Reply{Failure: failure}); err != nil || !utf8.Valid(encoded) {
			t.Errorf("Encode = %q, %v", encoded, err)
		}
	})
}

// allocated returns the bytes that f takes from the heap, freed or not.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// FuzzAnswerCutShort holds what is told of an answer over the limit against the
// whole of it.
func FuzzAnswerCutShort(f *testing.F) {
	for _, a := range answers {
		f.Add([]byte(a), len(a)/2)
	}
	f.Fuzz(func(t *testing.T, answer []byte, at int) {
		if at < 0 || at > len(answer) || !json.Valid(answer) {
			return
		}
		beginning, failed, known := beforeItems(answer[:at])
		if !known {
			return
		}
		var made, whole map[string]json.RawMessage
		if err := json.Unmarshal(append(beginning, `"items":[]}`...), &made); err != nil {
			t.Fatalf("the beginning %q is no JSON: %v", beginning, err)
		}
		if err := json.Unmarshal(answer, &whole); err != nil {
			t.Fatalf("%q: %v", answer, err)
		}
		if got, want := string(made["errors"]) == "true", failed; got != want {
			t.Errorf("failed: %t, the beginning says %t: %s", want, got, beginning)
		}
	})
}

// FuzzIndexName finds that a name that is taken stays one segment of the path,
// and one index.
func FuzzIndexName(f *testing.F) {
	for _, name := range []string{
		"alerts", ".kibana", "..", "a/b", "a%2fb", "a,b", "*", "-a", "_all", "a b", "é", "A", "<a-{now/d}>", "a\x00", "a\u202eb", "\xff", "a?b", "a#b", strings.Repeat("a", 256),
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		err := checkName(name)
		if err != nil {
			if len(err.Error()) > 600 {
				t.Errorf("a refusal of %d bytes", len(err.Error()))
			}
			return
		}
		u, err := url.Parse("http://cluster.test/" + url.PathEscape(name) + "/_bulk")
		if err != nil {
			t.Fatal(err)
		}
		if u.Path != "/"+name+"/_bulk" || strings.Count(u.EscapedPath(), "/") != 2 || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("%q leads to %s", name, u)
		}
		if strings.ContainsAny(name, `*,?/\<>:`) || strings.HasPrefix(name, "_") || strings.Trim(name, ".") == "" && len(name) < 3 || strings.ToLower(name) != name {
			t.Errorf("%q is taken", name)
		}
	})
}
