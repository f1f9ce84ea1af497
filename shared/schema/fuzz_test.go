package schema_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"patchbay.dev/shared/schema"
)

// seeds are where a scanner of JSON goes wrong: escapes, brackets and commas in
// strings, white space everywhere, equal keys, values that end a container.
var seeds = []string{
	``, ` `, `{`, `{}`, ` { } `, `[]`, `null`, `"a"`, `-0.0e-0`,
	`{"a":1}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{ "a" : 1 , "b" : [ 1 , 2 ] }`,
	`{"a":"}","b":"\"}","c":"\\"}`, `{"\\":"\\\"","\"":{}}`, `{"a":{"b":{"c":[[],{}]}},"d":1}`,
	"{\"a\"\t:\r1.5e+3\n}", `{"":""}`, `{"\ud83d\ude00":"\ud800","\ud800":1}`, "{\"a\u2028\":\"\u2029\"}", "{\"\xff\":1}",
	`{"name":"n","on":"TRUE","note":null,"colour":"green","tags":["x"],"inner":{"word":"w"},"record":{},"any":[],"code":"ab"}`,
	`{"name":"n","tags":"[\"x\",1]","inner":"{\"word\":1}","record":"{\"a\":\" \"}"}`,
	`"{\"name\":\"\\\"\"}"`, `{"x":1,"name":1}`, `{"name":" ","ninth":{"word":{}}}`,
}

func FuzzMembersAgreesWithEncodingJSON(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if schema.Check(data, schema.MaxDepth) != nil {
			return
		}
		// A map from null has no members, one from another type is an error.
		var want map[string]json.RawMessage
		_ = json.Unmarshal(data, &want)
		got := make(map[string]json.RawMessage)
		for key, value := range schema.Members(data) {
			got[key] = value
			if !json.Valid(value) {
				t.Errorf("Members yields %q: %q, which is not JSON", key, value)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("Members yields %d keys %q, want %d %q", len(got), got, len(want), want)
		}
		for key, value := range want {
			if !bytes.Equal(compact(t, got[key]), compact(t, value)) {
				t.Errorf("Members yields %q: %q, want %q", key, got[key], value)
			}
			start, end, found := schema.Find(data, key)
			if !found || !bytes.Equal(data[start:end], got[key]) {
				t.Errorf("Find(%q) = %q, %t, want %q", key, data[start:end], found, got[key])
			}
		}
	})
}

func FuzzCheckEachIsCheckAndThenEach(f *testing.F) {
	for _, seed := range append(seeds, manyMembers(15), manyMembers(16), manyMembers(17), `{"a":[[[[]]]]}`, `{"a":1}{`, `{"a":1,}`) {
		f.Add([]byte(seed), 4)
	}
	f.Fuzz(func(t *testing.T, data []byte, maxDepth int) {
		type member struct{ key, value string }
		var want, got []member
		into := func(members *[]member) func(key, value []byte) error {
			return func(key, value []byte) error {
				*members = append(*members, member{string(key), string(value)})
				if len(*members) == 20 {
					return errors.New("enough")
				}
				return nil
			}
		}
		wantErr := schema.Check(data, maxDepth)
		if wantErr == nil {
			wantErr = schema.Each(data, into(&want))
		}
		gotErr := schema.CheckEach(data, maxDepth, into(&got))
		if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v, want %v, %v", data, got, gotErr, want, wantErr)
		}
	})
}

// manyMembers is an object of n members.
func manyMembers(n int) string {
	return "{" + strings.TrimSuffix(strings.Repeat(`"a": [1] ,`, n), ",") + "}"
}

func FuzzDecodeRefusesOrYieldsJSON(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if schema.Check(data, schema.MaxDepth) != nil {
			return
		}
		before := bytes.Clone(data)
		var b body
		if err := schema.Decode(data, &b); err != nil {
			if _, ok := errors.AsType[*schema.Error](err); !ok || err.Error() == "" {
				t.Errorf("Decode = %v, want an *Error with words", err)
			}
		} else if encoded, err := json.Marshal(b); err != nil {
			t.Errorf("what Decode took is no JSON: %v", err)
		} else {
			// What was taken once is taken again: nothing is lost or made up.
			var again body
			if err := schema.Decode(encoded, &again); err != nil {
				t.Errorf("Decode refuses what it took: %v\n%s", err, encoded)
			}
		}
		var strict struct {
			Name   string          `json:"name" blank:"no"`
			Record schema.Record   `json:"record" default:"{}" blank:"no"`
			Any    json.RawMessage `json:"any" default:"null" blank:"no"`
			Tags   []*string       `json:"tags" default:"[]" blank:"no"`
		}
		_ = schema.Decode(data, &strict)
		if !bytes.Equal(data, before) {
			t.Errorf("Decode changed the data to %q", data)
		}
	})
}

func compact(t *testing.T, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		t.Fatalf("compact %q: %v", raw, err)
	}
	return b.Bytes()
}
