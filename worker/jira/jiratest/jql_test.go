package jiratest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJQLIsRead(t *testing.T) {
	t.Parallel()
	tests := []struct {
		jql  string
		want query
	}{
		{`project="CK" and summary ~"disk"`, query{clauses: []clause{{"project", "=", "CK"}, {"summary", "~", "disk"}}}},
		{`PROJECT = CK AND Labels='x y'`, query{clauses: []clause{{"project", "=", "CK"}, {"labels", "=", "x y"}}}},
		{`"summary"~ "a \" b \\\\\u0041\t\'"`, query{clauses: []clause{{"summary", "~", "a \" b \\\\A\t'"}}}},
		{`labels = a\ b`, query{clauses: []clause{{"labels", "=", "a b"}}}},
		{"labels = x\nORDER by created Desc, key asc,id", query{
			clauses: []clause{{"labels", "=", "x"}},
			order:   []sorting{{"created", true}, {"key", false}, {"id", false}},
		}},
		{`labels = "AND" and labels = "a') or ("`, query{clauses: []clause{{"labels", "=", "AND"}, {"labels", "=", "a') or ("}}}},
	}
	for _, test := range tests {
		got, err := parseJQL(test.jql)
		if err != nil {
			t.Errorf("%s: %v", test.jql, err)
			continue
		}
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(query{}, clause{}, sorting{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.jql, diff)
		}
	}
}

func TestJQLIsRefusedInJirasWords(t *testing.T) {
	t.Parallel()
	const escapes = `The valid escape sequences are \', \", \t, \n, \r, \\, '\ ' and \uXXXX.`
	tests := []struct{ jql, want string }{
		{`summary ~ "test`, "The quoted string 'test' has not been completed. (line 1, character 11)"},
		{`summary ~ '`, "The quoted string has not been completed. (line 1, character 11)"},
		{"summary ~\n \"a\nb\"", "The quoted string 'a' has not been completed. (line 2, character 2)"},
		{"summary ~ \"a\tb\"", "The character 'U+0009' must be escaped. Use the escape '\\u0009' instead. (line 1, character 13)"},
		{"summary ~ \"\xff\"", "The query is not UTF-8. (line 1, character 12)"},
		{`summary ~ "a\-b"`, `'\-' is an illegal JQL escape sequence. ` + escapes + " (line 1, character 13)"},
		{`summary ~ "\u12x4"`, `'\u' is an illegal JQL escape sequence. ` + escapes + " (line 1, character 12)"},
		{`summary ~ a\`, "The escape sequence has not been completed. " + escapes + " (line 1, character 12)"},
		{`summary ~ a{b`, `The character '{' is a reserved JQL character. You must enclose it in a string or use the escape '\u007b' instead. (line 1, character 12)`},
		{`project = and`, "'and' is a reserved JQL word. You must surround it in quotation marks to use it in a query. (line 1, character 11)"},
		{`and = b`, "Expecting a field name but got 'and'. You must surround 'and' in quotation marks to use it as a field name. (line 1, character 1)"},
		{`'' = c`, "A field name cannot be empty. (line 1, character 1)"},
		{`, a = b`, "Expecting a field name but got ','. You must surround ',' in quotation marks to use it as a field name. (line 1, character 1)"},
		{`a`, "Expecting operator before the end of the query. " + operators},
		{`a blah >`, "Expecting operator but got 'blah'. " + operators + " (line 1, character 3)"},
		{`a=`, "Expecting either a value, list or function before the end of the query."},
		{`a=!`, "Expecting either a value, list or function but got '!'. You must surround '!' in quotation marks to use it as a value. (line 1, character 3)"},
		{`a=b c=d`, "Expecting either 'OR' or 'AND' but got 'c'. (line 1, character 5)"},
		{`a=b and`, "Expecting a field name at the end of the query."},
		{`a=b or c=d`, "OR is not taken here. (line 1, character 5)"},
		{`a = b order`, "Expecting 'by' before the end of the query."},
		{`a = b order summary`, "Expecting 'by' but got 'summary'. (line 1, character 13)"},
		{`a = b order by`, "Expecting a field name at the end of the query."},
		{`a = b order by c desc d`, "Expecting ',' but got 'd'. (line 1, character 23)"},
	}
	for _, test := range tests {
		if _, err := parseJQL(test.jql); err == nil || err.Error() != "Error in the JQL Query: "+test.want {
			t.Errorf("%s: %v, want %s", test.jql, err, test.want)
		}
	}
}

func TestQueryMatches(t *testing.T) {
	t.Parallel()
	s := Start()
	defer s.Close()
	for _, raw := range []string{
		`"summary":"Disk full on db-1 (prod)","labels":["ops"]`,
		`"summary":"Disk almost full","labels":["ops","dev"]`,
		`"summary":"C++ \"quoted\" \\ back"`,
	} {
		c := call{Server: s, body: []byte(`{"fields":{` + raw + `}}`)}
		fields, refusal := c.fields()
		if refusal != nil {
			t.Fatalf("%s", refusal.body)
		}
		s.create(fields)
	}
	tests := []struct {
		jql  string
		want string // keys, or the refusal
	}{
		{`summary ~ "full disk"`, "CK-2 CK-1"},
		{`summary ~ "full disk" order by key`, "CK-1 CK-2"},
		{`project = ck and summary ~ "DISK" AND labels = dev`, "CK-2"},
		{`summary ~ "db\\-1"`, "CK-1"},
		{`summary ~ "\\(prod\\)"`, "CK-1"},
		{`summary ~ "C\\+\\+ \\\"quoted\\\" \\\\"`, "CK-3"},
		{`summary ~ "dis"`, ""},
		{`summary ~ "\\!"`, ""},
		{`summary ~ "full \\OR"`, ""},
		{`summary ~ "full or"`, ""},
		{`labels = "o"`, ""},
		{`summary ~ "db-1"`, "Unable to parse the text 'db-1' for field 'summary': the text has an unescaped -"},
		{`summary ~ "a*"`, "Unable to parse the text 'a*' for field 'summary': the text has an unescaped *"},
		{`summary ~ "\"a"`, `Unable to parse the text '"a' for field 'summary': the text has an unescaped "`},
		{`summary ~ "a\\"`, `Unable to parse the text 'a\' for field 'summary': the text ends in a backslash`},
		{`summary ~ "full OR disk"`, "Unable to parse the text 'full OR disk' for field 'summary': the text has the operator OR"},
		{`summary ~ "NOT"`, "Unable to parse the text 'NOT' for field 'summary': the text has the operator NOT"},
		{`summary = "x"`, "The operator '=' is not supported by the 'summary' field."},
		{`status = "x"`, "Field 'status' does not exist or you do not have permission to view it."},
		{`labels = x order by status`, "Field 'status' does not exist or you do not have permission to view it."},
		{` `, "Unbounded JQL queries are not allowed here. Please add a search restriction to your query."},
		{`summary ~ ""`, `{"errorMessages":["The field 'summary' does not support searching for an empty string."],"errors":{}}`},
		{`project = XX`, `{"errorMessages":["The value 'XX' does not exist for the field 'project'."],"errors":{}}`},
	}
	for _, test := range tests {
		if got := matched(&call{Server: s}, test.jql); got != test.want {
			t.Errorf("%s: %s, want %s", test.jql, got, test.want)
		}
	}
}

func matched(c *call, jql string) string {
	q, err := c.understand(jql)
	if err != nil {
		return err.Error()
	}
	matching, refusal := c.match(q)
	if refusal != nil {
		return string(refusal.body)
	}
	var keys []string
	for _, i := range matching {
		keys = append(keys, i.key)
	}
	return strings.Join(keys, " ")
}

// FuzzQuotedValueIsOneValue holds that a value that is escaped as JQL asks comes
// out as it went in, and that nothing makes the parser panic.
func FuzzQuotedValueIsOneValue(f *testing.F) {
	for _, seed := range []string{"", "a b", `a" OR project = "X`, `\`, `\"`, "line\nbreak\ttab", "\u0000\u007f", "😀", "\xff", `\u0022`} {
		f.Add(seed)
	}
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`)
	f.Fuzz(func(t *testing.T, value string) {
		_, _ = parseJQL(value)
		_, _ = terms(value)
		q, err := parseJQL(`labels = "` + quote.Replace(value) + `" AND project = CK`)
		if err != nil {
			if text := err.Error(); !strings.Contains(text, "must be escaped") && !strings.Contains(text, "not UTF-8") {
				t.Errorf("%q: %v", value, err)
			}
			return
		}
		want := []clause{{"labels", "=", value}, {"project", "=", "CK"}}
		if diff := cmp.Diff(want, q.clauses, cmp.AllowUnexported(clause{})); diff != "" {
			t.Errorf("clauses (-want +got):\n%s", diff)
		}
	})
}
