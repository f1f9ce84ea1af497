package index

import (
	"bytes"
	"encoding/json"
	"maps"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/schema"
)

func TestExecutionTimeField(t *testing.T) {
	t.Parallel()
	const now = `"2026-03-04T05:06:07.089Z"`
	tests := []struct{ name, field, document, want string }{
		{"added at the end", `"@timestamp"`, `{"a":1}`, `{"a":1,"@timestamp":` + now + `}`},
		{"overwritten where it stands", `"t"`, `{"a":1, "t" : {"x":[1,2]} ,"b":2}`, `{"a":1, "t" : ` + now + ` ,"b":2}`},
		{"overwritten when its name is escaped", `"été"`, `{"\u00e9t\u00e9":1}`, `{"\u00e9t\u00e9":` + now + `}`},
		{"the last of equal names", `"t"`, `{"t":1,"t":2}`, `{"t":1,"t":` + now + `}`},
		{"only at the top", `"t"`, `{"a":{"t":1},"b":[{"t":2}]}`, `{"a":{"t":1},"b":[{"t":2}],"t":` + now + `}`},
		{"not inside a string", `"t"`, `{"a":"\"t\":1}"}`, `{"a":"\"t\":1}","t":` + now + `}`},
		{"empty document", `"t"`, `{}`, `{"t":` + now + `}`},
		{"blank document", `"t"`, `{ }`, `{"t":` + now + `}`},
		{"space before the closing brace", `"t"`, `{"a":1 }`, `{"a":1,"t":` + now + `}`},
		{"dots are no path", `"event.created"`, `{"event":{"created":1}}`, `{"event":{"created":1},"event.created":` + now + `}`},
		{"name with quotes and escapes", `"a\"b\\c\n<é>"`, `{}`, `{"a\"b\\c\n<é>":` + now + `}`},
		{"blanks around the name", `" \t t \n"`, `{}`, `{"t":` + now + `}`},
		{"no name", `null`, `{"a":1}`, `{"a":1}`},
		{"empty name", `""`, `{"":1}`, `{"":1}`},
		{"blank name", `" \t\n"`, `{"a":1}`, `{"a":1}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e, cluster := setup(t)
			config := `{"index":"any","executionTimeField":` + test.field + `}`
			if _, err := e.Execute(t.Context(), newJob(t, config, `{"documents":[`+test.document+`,`+test.document+`]}`)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{test.want, test.want}, lines(cluster.Documents("any"))); diff != "" {
				t.Errorf("documents (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzBulkBody(f *testing.F) {
	f.Add(`{"a":1}`, "t")
	f.Add("{\r\n \"t\": [1,\n{\"t\":\"}\"}]\n}", "t")
	f.Add(`{ }`, "")
	f.Add(`{"\u0074":"\\\"","t":1e400}`, "t")
	f.Add(`{"a":"\ud800","\ud800":{}}`, "\ufffd\u2028\x00\"<")
	f.Fuzz(func(t *testing.T, document, timeField string) {
		var before map[string]any
		if schema.Check([]byte(document), schema.MaxDepth) != nil || !utf8.ValidString(timeField) || value(document, &before) != nil || before == nil {
			return // the executor is given no such thing
		}
		record := schema.Record(bytes.TrimSpace([]byte(document)))
		body := bulkBody([]schema.Record{record, record}, nil, timeField, clock)
		got := bytes.SplitAfter(body, []byte("\n"))
		if len(got) != 5 || len(got[4]) != 0 || string(got[0]) != action || string(got[2]) != action || !bytes.Equal(got[1], got[3]) {
			t.Fatalf("not two lines for each document: %q", body)
		}
		var after map[string]any
		if err := value(string(got[1]), &after); err != nil {
			t.Fatalf("%q: %v", got[1], err)
		}
		if timeField != "" {
			if after[timeField] != "2026-03-04T05:06:07.089Z" {
				t.Errorf("%q has no time in %q", got[1], timeField)
			}
			for _, m := range []map[string]any{before, after} {
				maps.DeleteFunc(m, func(key string, _ any) bool { return key == timeField })
			}
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("document (-sent +written):\n%s", diff)
		}
	})
}

// value decodes JSON and keeps numbers as they are written.
func value(document string, into any) error {
	dec := json.NewDecoder(bytes.NewReader([]byte(document)))
	dec.UseNumber()
	return dec.Decode(into)
}
