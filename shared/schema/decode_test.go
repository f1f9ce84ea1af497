package schema_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"patchbay.dev/shared/schema"
)

// body has a field of every kind that a struct may have.
type body struct {
	Name     string          `json:"name"`
	On       bool            `json:"on" default:"true"`
	Note     *string         `json:"note"`
	Colour   colour          `json:"colour" default:"\"red\""`
	Tags     []string        `json:"tags" default:"[\"a\", \"b\"]"`
	Inner    inner           `json:"inner"`
	Record   schema.Record   `json:"record" default:"{}"`
	Any      json.RawMessage `json:"any" default:"null"`
	Code     even            `json:"code" default:"\"\""`
	NinthOne *inner          `json:"ninth"` // more fields than a small object has
}

type inner struct {
	Word string `json:"word" default:"\"w\""`
}

type colour string

func (colour) OneOf() []string { return []string{"red", "green"} }

type even string

func (e even) Check() string {
	if len(e)%2 == 1 {
		return "length must be even"
	}
	return ""
}

func decode[T any](t *testing.T, data string) (T, string) {
	t.Helper()
	if err := schema.Check([]byte(data), schema.MaxDepth); err != nil {
		t.Fatalf("Check(%s): %v", data, err)
	}
	var v T
	err := schema.Decode([]byte(data), &v)
	return v, message(err)
}

func TestDecodeFillsDefaults(t *testing.T) {
	t.Parallel()
	got, refusal := decode[body](t, ` {"name":"n"} `)
	want := body{
		Name:   "n",
		On:     true,
		Colour: "red",
		Tags:   []string{"a", "b"},
		Inner:  inner{Word: "w"},
		Record: schema.Record(`{}`),
		Any:    json.RawMessage(`null`),
	}
	if refusal != "" || !reflect.DeepEqual(got, want) {
		t.Errorf("decode = %q\n got %+v\nwant %+v", refusal, got, want)
	}
}

func TestDecodeTakesWhatWasSentBeforeDefaults(t *testing.T) {
	t.Parallel()
	got, refusal := decode[body](t, `{"ninth":{},"code":"ab","any":[1 , 2],"record":{"r":1},"inner":{"word":""},
		"tags":[],"colour":"green","note":"x","on":false,"name":""}`)
	note := "x"
	want := body{
		Note:     &note,
		Colour:   "green",
		Tags:     []string{},
		Record:   schema.Record(`{"r":1}`),
		Any:      json.RawMessage(`[1 , 2]`),
		Code:     "ab",
		NinthOne: &inner{Word: "w"},
	}
	if refusal != "" || !reflect.DeepEqual(got, want) {
		t.Errorf("decode = %q\n got %+v\nwant %+v", refusal, got, want)
	}
}

func TestDecodeTakesNullForAbsentOnlyWhereNullIsAllowed(t *testing.T) {
	t.Parallel()
	got, refusal := decode[struct {
		Note *string         `json:"note"`
		Any  json.RawMessage `json:"any"`
	}](t, `{"note":null,"any":null}`)
	if refusal != "" || got.Note != nil || string(got.Any) != "null" {
		t.Errorf("decode = %+v, %q", got, refusal)
	}
}

func TestDecodeTakesBooleansAsText(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]bool{
		`true`: true, `false`: false,
		`"true"`: true, `"false"`: false,
		`"TRUE"`: true, `"False"`: false,
		`"\u0074rue"`: true,
	} {
		got, refusal := decode[struct {
			On bool `json:"on"`
		}](t, `{"on":`+data+`}`)
		if refusal != "" || got.On != want {
			t.Errorf("decode of %s = %t, %q, want %t", data, got.On, refusal, want)
		}
	}
}

func TestDecodeTakesTheLastOfEqualKeys(t *testing.T) {
	t.Parallel()
	got, refusal := decode[inner](t, `{"word":1,"word":"a","w\u006frd":"b"}`)
	if want := (inner{Word: "b"}); refusal != "" || got != want {
		t.Errorf("decode = %+v, %q, want %+v", got, refusal, want)
	}
}

func TestDecodeUnescapesKeysAndText(t *testing.T) {
	t.Parallel()
	type odd struct {
		V string `json:"aü"`
	}
	got, refusal := decode[odd](t, `{"\u0061\u00fc":"\"\\\/\n\u00e9\ud83d\ude00\ud800"}`)
	if want := (odd{V: "\"\\/\né😀\ufffd"}); refusal != "" || got != want {
		t.Errorf("decode = %+q, %q, want %+q", got, refusal, want)
	}
}

// What nobody but the destination decodes must arrive as it was sent.
func TestDecodeKeepsRawBytes(t *testing.T) {
	t.Parallel()
	const raw = `{"z":1.0e400, "a":-0,"big":12345678901234567890123,"\u0061":"\u003c\/\ud83d\ude00<&>","z":[ ]}`
	type bodies struct {
		Record  schema.Record   `json:"record"`
		Any     json.RawMessage `json:"any"`
		Records []schema.Record `json:"records"`
	}
	got, refusal := decode[bodies](t, `{"record":`+raw+`,"any":`+raw+`,"records":[`+raw+` , {} ]}`)
	want := bodies{schema.Record(raw), json.RawMessage(raw), []schema.Record{schema.Record(raw), schema.Record(`{}`)}}
	if refusal != "" || !reflect.DeepEqual(got, want) {
		t.Errorf("decode = %q\n got %s\nwant %s", refusal, got, want)
	}
}

func TestDecodeReadsJSONInsideText(t *testing.T) {
	t.Parallel()
	type bodies struct {
		Record schema.Record   `json:"record"`
		Inner  inner           `json:"inner"`
		Tags   []string        `json:"tags"`
		Any    json.RawMessage `json:"any"`
	}
	const data = `{"record":" {\"a\" : \"\\u0061\"}\n","inner":"{\"word\":\"x\"}","tags":"[\"a\",\"b\"]","any":"{}"}`
	want := bodies{
		Record: schema.Record(`{"a" : "\u0061"}`),
		Inner:  inner{Word: "x"},
		Tags:   []string{"a", "b"},
		Any:    json.RawMessage(`"{}"`), // anything goes as it is
	}
	whole, _ := json.Marshal(data) // the body itself may be text too
	for _, data := range []string{data, string(whole)} {
		got, refusal := decode[bodies](t, data)
		if refusal != "" || !reflect.DeepEqual(got, want) {
			t.Errorf("decode = %q\n got %s\nwant %s", refusal, got, want)
		}
	}
}

func TestDecodeOverwritesWhatWasThere(t *testing.T) {
	t.Parallel()
	old := "old"
	v := struct {
		Note *string  `json:"note"`
		Tags []string `json:"tags"`
		On   bool     `json:"on"`
	}{&old, []string{"old"}, true}
	if err := schema.Decode([]byte(`{"tags":["new"],"on":false}`), &v); err != nil {
		t.Fatal(err)
	}
	if v.Note != nil || len(v.Tags) != 1 || v.Tags[0] != "new" || v.On {
		t.Errorf("decode left what was there: %+v", v)
	}
}

func TestRecordMarshalsAsItWasSent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		record schema.Record
		want   string
	}{
		{schema.Record(`{"b":1.0e400,"a":"\u0061"}`), `{"b":1.0e400,"a":"\u0061"}`},
		{nil, `null`},
	} {
		got, err := json.Marshal(tt.record)
		if err != nil || string(got) != tt.want {
			t.Errorf("Marshal(%s) = %s, %v", tt.record, got, err)
		}
	}
}

func TestDecodePanicsOnAStructThatIsNoSchema(t *testing.T) {
	t.Parallel()
	for name, into := range map[string]any{
		"number": &struct {
			N int `json:"n"`
		}{},
		"no json name": &struct{ S string }{},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if got, _ := recover().(string); !strings.HasPrefix(got, "schema: ") {
					t.Errorf("panic = %q, want one that begins with the package", got)
				}
			}()
			_ = schema.Decode([]byte(`{"n":1}`), into)
			t.Error("Decode returned")
		})
	}
}
