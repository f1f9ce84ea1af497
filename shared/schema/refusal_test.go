package schema_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"patchbay.dev/shared/schema"
)

// Kibana 8.19's words for a value of the wrong type, by the kind of the field.
func TestDecodeRefusesWrongTypes(t *testing.T) {
	t.Parallel()
	var kinds struct {
		text struct {
			V string `json:"v"`
		}
		boolean struct {
			V bool `json:"v"`
		}
		list struct {
			V []string `json:"v"`
		}
		record struct {
			V schema.Record `json:"v"`
		}
		object struct {
			V inner `json:"v"`
		}
		anything struct {
			V json.RawMessage `json:"v"`
		}
	}
	const (
		expected = "[v]: expected value of type "
		plain    = "[v]: expected a plain object value, but found "
	)
	for _, tt := range []struct {
		name string
		into any
		want map[string]string // by the value that is sent; "" for none
	}{
		{"string", &kinds.text, map[string]string{
			``: expected + "[string] but got [undefined]", `null`: expected + "[string] but got [null]",
			`1`: expected + "[string] but got [number]", `true`: expected + "[string] but got [boolean]",
			`[]`: expected + "[string] but got [Array]", `{}`: expected + "[string] but got [Object]",
		}},
		{"boolean", &kinds.boolean, map[string]string{
			``: expected + "[boolean] but got [undefined]", `null`: expected + "[boolean] but got [null]",
			`1`: expected + "[boolean] but got [number]", `"yes"`: expected + "[boolean] but got [string]",
			`" true"`: expected + "[boolean] but got [string]", `"\"true\""`: expected + "[boolean] but got [string]",
			`""`: expected + "[boolean] but got [string]", `["true"]`: expected + "[boolean] but got [Array]",
		}},
		{"array", &kinds.list, map[string]string{
			``: expected + "[array] but got [undefined]", `null`: expected + "[array] but got [null]",
			`-1`: expected + "[array] but got [number]", `false`: expected + "[array] but got [boolean]",
			`{}`: expected + "[array] but got [Object]", `"{}"`: expected + "[array] but got [Object]",
			`"[]["`: "[v]: could not parse array value from json input",
			`""`:    "[v]: could not parse array value from json input",
		}},
		{"record", &kinds.record, map[string]string{
			``: expected + "[object] but got [undefined]", `null`: expected + "[object] but got [null]",
			`1`: expected + "[object] but got [number]", `true`: expected + "[object] but got [boolean]",
			`[]`: expected + "[object] but got [Array]", `"null"`: expected + "[object] but got [null]",
			`"\"{}\""`:     expected + "[object] but got [string]", // text inside text is not opened
			`"a"`:          "[v]: could not parse record value from json input",
			`"{} {}"`:      "[v]: could not parse record value from json input",
			`"\u00a0{}"`:   "[v]: could not parse record value from json input", // no white space in JSON
			deepText(65):   "[v]: could not parse record value from json input",
			`"{\"a\":1,}"`: "[v]: could not parse record value from json input",
		}},
		{"object", &kinds.object, map[string]string{
			`null`: plain + "[null] instead.", `1`: plain + "[number] instead.",
			`true`: plain + "[boolean] instead.", `[]`: plain + "[Array] instead.",
			`"[1,2]"`: plain + "[Array] instead.", `"1"`: plain + "[number] instead.",
			`"a"`: "[v]: could not parse object value from json input",
		}},
		{"anything", &kinds.anything, map[string]string{
			``: expected + "[any] but got [undefined]",
		}},
	} {
		for value, want := range tt.want {
			data := `{}`
			if value != "" {
				data = `{"v":` + value + `}`
			}
			if got := message(schema.Decode([]byte(data), tt.into)); got != want {
				t.Errorf("%s: Decode(%.60s)\n got %s\nwant %s", tt.name, data, got, want)
			}
		}
	}
}

// deepText is a JSON string that holds an object nested depth levels.
func deepText(depth int) string {
	return `"` + strings.Repeat(`{\"a\":`, depth) + `1` + strings.Repeat(`}`, depth) + `"`
}

func TestDecodeTakesTextNestedToTheLimit(t *testing.T) {
	t.Parallel()
	_, refusal := decode[struct {
		V schema.Record `json:"v"`
	}](t, `{"v":`+deepText(schema.MaxDepth)+`}`)
	if refusal != "" {
		t.Errorf("refused: %s", refusal)
	}
}

func TestDecodeRefusesABodyThatIsNoObject(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`null`:   "expected a plain object value, but found [null] instead.",
		`[]`:     "expected a plain object value, but found [Array] instead.",
		`1`:      "expected a plain object value, but found [number] instead.",
		`true`:   "expected a plain object value, but found [boolean] instead.",
		`"text"`: "could not parse object value from json input",
		`""`:     "could not parse object value from json input",
	} {
		if _, got := decode[inner](t, data); got != want {
			t.Errorf("Decode(%s)\n got %s\nwant %s", data, got, want)
		}
	}
}

// An absent object is one without members, so that the refusal names the field
// that is missing in it.
func TestDecodeNamesWhatIsMissingInAnAbsentObject(t *testing.T) {
	t.Parallel()
	type outer struct {
		Inner struct {
			Word string `json:"word"`
		} `json:"inner"`
	}
	const want = "[inner.word]: expected value of type [string] but got [undefined]"
	var v outer
	for _, data := range []string{``, `{}`, `{"inner":{}}`} {
		if got := message(schema.Decode([]byte(data), &v)); got != want {
			t.Errorf("Decode(%q)\n got %s\nwant %s", data, got, want)
		}
	}
}

func TestDecodeReportsTheFirstFailingField(t *testing.T) {
	t.Parallel()
	type three struct {
		A string `json:"a"`
		B string `json:"b"`
		C inner  `json:"c"`
	}
	for _, tt := range []struct{ data, want string }{
		{`{"x":1,"c":1,"b":1,"a":1}`, "[a]: expected value of type [string] but got [number]"},
		{`{"x":1,"c":1,"b":1,"a":""}`, "[b]: expected value of type [string] but got [number]"},
		{`{"x":1,"c":1,"b":"","a":""}`, "[c]: expected a plain object value, but found [number] instead."},
		{`{"x":1,"c":{"y":1,"word":2},"b":"","a":""}`, "[c.word]: expected value of type [string] but got [number]"},
		{`{"x":1,"c":{"z":1,"y":1},"b":"","a":""}`, "[c.z]: definition for this key is missing"}, // the first that was sent
		{`{"x":1,"y":2,"c":{},"b":"","a":""}`, "[x]: definition for this key is missing"},
		{`{"A":"","c":{},"b":"","a":""}`, "[A]: definition for this key is missing"}, // case counts
		{`{"":"","c":{},"b":"","a":""}`, "[]: definition for this key is missing"},
		{`{"x.\u0079\n":"","c":{},"b":"","a":""}`, "[x.y\n]: definition for this key is missing"},
		{`{"a":1,"a":"","b":"","x":1,"x":2}`, "[x]: definition for this key is missing"},
	} {
		if _, got := decode[three](t, tt.data); got != tt.want {
			t.Errorf("Decode(%s)\n got %s\nwant %s", tt.data, got, tt.want)
		}
	}
}

func TestDecodeReportsPlacesInsideLists(t *testing.T) {
	t.Parallel()
	type lists struct {
		Documents []schema.Record `json:"documents" default:"[]"`
		Words     []inner         `json:"words" default:"[]"`
		Table     [][]string      `json:"table" default:"[]"`
	}
	for _, tt := range []struct{ data, want string }{
		{`{"documents":[1]}`, "[documents.0]: expected value of type [object] but got [number]"},
		{`{"documents":[{},"{}",null]}`, "[documents.2]: expected value of type [object] but got [null]"},
		{`{"documents":["should be an object"]}`, "[documents.0]: could not parse record value from json input"},
		{`{"words":[{},{"word":1}]}`, "[words.1.word]: expected value of type [string] but got [number]"},
		{`{"words":[{},{"x":1}]}`, "[words.1.x]: definition for this key is missing"},
		{`{"table":[["a"],["b",2]]}`, "[table.1.1]: expected value of type [string] but got [number]"},
		{`{"table":"[[],[1]]"}`, "[table.1.0]: expected value of type [string] but got [number]"},
	} {
		if _, got := decode[lists](t, tt.data); got != tt.want {
			t.Errorf("Decode(%s)\n got %s\nwant %s", tt.data, got, tt.want)
		}
	}
}

func TestDecodeRefusesBlankText(t *testing.T) {
	t.Parallel()
	type blank struct {
		Name   string          `json:"name" default:"\"n\"" blank:"no"`
		Note   *string         `json:"note" blank:"no"`
		Tags   []string        `json:"tags" default:"[]" blank:"no"`
		Record schema.Record   `json:"record" default:"{}" blank:"no"`
		Any    json.RawMessage `json:"any" default:"null" blank:"no"`
		Free   string          `json:"free" default:"\"\""` // may be blank
	}
	const reason = "value '' is not valid"
	for _, tt := range []struct{ data, want string }{
		{`{"name":""}`, "[name]: " + reason},
		{`{"name":" \t\r\n\u00a0\u2003"}`, "[name]: " + reason},
		{`{"name":" a "}`, ""},
		{`{"note":" "}`, "[note]: types that failed validation:\n- [note.0]: " + reason + "\n- [note.1]: expected value to equal [null]"},
		{`{"tags":["a",""]}`, "[tags.1]: " + reason},
		{`{"record":{"a":"x","b":" "}}`, "[record.b]: " + reason},
		{`{"record":{"a":{"b":[1,{"c":"\u0020"}]}}}`, "[record.a]: " + reason}, // at the record's own key
		{`{"record":{"a":["x",[""]]}}`, "[record.a]: " + reason},
		{`{"record":"{\"a\":\"\"}"}`, "[record.a]: " + reason},
		{`{"record":{"":"x","a":null,"b":0,"c":{},"d":[],"e":false}}`, ""}, // no text, or only a key
		{`{"any":""}`, "[any]: " + reason},
		{`{"any":{"a":[" "]}}`, "[any]: " + reason},
		{`{"any":{"a":["."]}}`, ""},
		{`{"free":" "}`, ""},
	} {
		if _, got := decode[blank](t, tt.data); got != tt.want {
			t.Errorf("Decode(%s)\n got %s\nwant %s", tt.data, got, tt.want)
		}
	}
}

func TestDecodeTellsEveryAlternativeOfAUnion(t *testing.T) {
	t.Parallel()
	const failed = "types that failed validation:"
	for _, tt := range []struct{ data, want string }{
		{`{"colour":"blue"}`, "[colour]: " + failed +
			"\n- [colour.0]: expected value to equal [red]\n- [colour.1]: expected value to equal [green]"},
		{`{"colour":null}`, "[colour]: " + failed +
			"\n- [colour.0]: expected value to equal [red]\n- [colour.1]: expected value to equal [green]"},
		{`{"colour":"RED"}`, "[colour]: " + failed +
			"\n- [colour.0]: expected value to equal [red]\n- [colour.1]: expected value to equal [green]"},
		{`{"note":1}`, "[note]: " + failed +
			"\n- [note.0]: expected value of type [string] but got [number]\n- [note.1]: expected value to equal [null]"},
		{`{"inner":{"word":1}}`, "[inner]: " + failed +
			"\n- [inner.0.word]: expected value of type [string] but got [number]\n- [inner.1]: expected value to equal [null]"},
		{`{"code":"abc"}`, "[code]: " + failed +
			"\n- [code.0]: length must be even\n- [code.1]: expected value to equal [null]"},
		// Kibana indents a union in a union by one space and leaves its numbers alone.
		{`{"shade":"blue"}`, "[shade]: " + failed +
			"\n- [shade.0]: " + failed +
			"\n - [shade.0]: expected value to equal [red]\n - [shade.1]: expected value to equal [green]" +
			"\n- [shade.1]: expected value to equal [null]"},
		{`{"shade":"\u0067reen"}`, ""},
	} {
		type unions struct {
			Colour colour  `json:"colour" default:"\"red\""`
			Note   *string `json:"note"`
			Inner  *inner  `json:"inner"`
			Code   *even   `json:"code"`
			Shade  *colour `json:"shade"`
		}
		if _, got := decode[unions](t, tt.data); got != tt.want {
			t.Errorf("Decode(%s)\n got %s\nwant %s", tt.data, got, tt.want)
		}
	}
}

func TestErrorPutsANamespaceBeforeEveryPath(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ data, want string }{
		{`null`, "[request body]: expected a plain object value, but found [null] instead."},
		{`{"name":1}`, "[request body.name]: expected value of type [string] but got [number]"},
		{`{"name":"","inner":{"x":1}}`, "[request body.inner.x]: definition for this key is missing"},
		{`{"name":"","colour":1}`, "[request body.colour]: types that failed validation:" +
			"\n- [request body.colour.0]: expected value to equal [red]" +
			"\n- [request body.colour.1]: expected value to equal [green]"},
		{`{"name":"","code":"abc"}`, "[request body.code]: length must be even"},
	} {
		var v body
		err := schema.Decode([]byte(tt.data), &v)
		refusal, ok := errors.AsType[*schema.Error](err)
		if !ok {
			t.Errorf("Decode(%s) = %v, want an *Error", tt.data, err)
			continue
		}
		for range 2 { // rendering must not change the path
			if got := refusal.In("request body"); got != tt.want {
				t.Errorf("Decode(%s)\n got %s\nwant %s", tt.data, got, tt.want)
			}
		}
	}
}
