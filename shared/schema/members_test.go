package schema_test

import (
	"reflect"
	"strconv"
	"testing"

	"patchbay.dev/shared/schema"
)

type member struct{ Key, Value string }

func members(data string) []member {
	var all []member
	for key, value := range schema.Members([]byte(data)) {
		all = append(all, member{key, string(value)})
	}
	return all
}

func TestMembersYieldsRawValuesInTheirOrder(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		data string
		want []member
	}{
		{`{}`, nil},
		{" { } ", nil},
		{`{"a":1}`, []member{{"a", "1"}}},
		{"\n{ \"b\" : 1.0e400 ,\t\"a\"\r:\n-0 }", []member{{"b", "1.0e400"}, {"a", "-0"}}},
		{`{"a":{"b":[{}]},"c":[[1, 2],"]"]}`, []member{{"a", `{"b":[{}]}`}, {"c", `[[1, 2],"]"]`}}},
		{`{"a":"}","b":"{","c":"\"}","d":"\\"}`, []member{{"a", `"}"`}, {"b", `"{"`}, {"c", `"\"}"`}, {"d", `"\\"`}}},
		{`{"a":true,"b":null}`, []member{{"a", "true"}, {"b", "null"}}},
		{`{"a":1,"a":2}`, []member{{"a", "1"}, {"a", "2"}}},
		{`{"":1," ":2}`, []member{{"", "1"}, {" ", "2"}}},
		{`{"\u0061\"\\\n\ud83d\ude00":"\u0061"}`, []member{{"a\"\\\n😀", `"\u0061"`}}},
		{`{"\ud800":1}`, []member{{"\ufffd", "1"}}},
		{`[1,{"a":1}]`, nil},
		{`"{\"a\":1}"`, nil},
		{`null`, nil},
		{``, nil},
	} {
		if got := members(tt.data); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("Members(%s)\n got %+v\nwant %+v", tt.data, got, tt.want)
		}
	}
}

func TestMembersStopsWhenAsked(t *testing.T) {
	t.Parallel()
	var got []string
	for key := range schema.Members([]byte(`{"a":1,"b":2,"c":3}`)) {
		got = append(got, key)
		if key == "b" {
			break
		}
	}
	if want := []string{"a", "b"}; !reflect.DeepEqual(got, want) {
		t.Errorf("keys before the break\n got %+v\nwant %+v", got, want)
	}
}

func TestMembersAliasesTheData(t *testing.T) {
	t.Parallel()
	data := []byte(`{"a":1}`)
	for _, value := range schema.Members(data) {
		value[0] = '2'
	}
	if got, want := string(data), `{"a":2}`; got != want {
		t.Errorf("data = %s, want %s", got, want)
	}
}

func TestFindTellsWhereTheLastValueIs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		data, key, want string
		found           bool
	}{
		{`{"a":1,"b":2}`, "b", "2", true},
		{`{"a":1,"b":2,"a":3}`, "a", "3", true},
		{`{"a":1,"\u0061":[3] }`, "a", "[3]", true},
		{`{ "a" : "x" }`, "a", `"x"`, true},
		{`{"":0}`, "", "0", true},
		{`{"a":{"b":1}}`, "b", "", false}, // not a member of the object itself
		{`{"a":"b"}`, "b", "", false},
		{`{"A":1}`, "a", "", false},
		{`{}`, "a", "", false},
		{`[]`, "a", "", false},
		{``, "a", "", false},
	} {
		start, end, found := schema.Find([]byte(tt.data), tt.key)
		if got := tt.data[start:end]; got != tt.want || found != tt.found {
			t.Errorf("Find(%s, %q) = %q, %t, want %q, %t", tt.data, tt.key, got, found, tt.want, tt.found)
		}
	}
}

// message is the text of err, "" for none.
func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func itoa(n int) string { return strconv.Itoa(n) }
