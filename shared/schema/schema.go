// Package schema decodes JSON into structs strictly and refuses in the words of
// Kibana 8.19's config-schema, so that the Go struct is the only description of
// a body.
//
// A struct's fields are checked in their order and the first refusal wins; keys
// that no field names come last. Go types stand for JSON types:
//
//	string, bool       string, boolean ("true" and "false" are taken too)
//	*T                 T or null; null when absent
//	[]T                array
//	struct             object with exactly these keys; {} when absent
//	Record             object with any keys, kept as raw bytes
//	json.RawMessage    anything, kept as raw bytes
//	Enum               one of a list of strings
//	Union              one of several structs
//
// Tags: `json:"name"` names the key, `default:"JSON"` fills an absent one (a
// field without it, unless a pointer or a struct, is required), `blank:"no"`
// refuses strings of white space only, also those inside a Record or a
// RawMessage, `maybe:"yes"` makes a pointer nil when absent and null refused.
//
// As in config-schema, an object, record or array may come as a string that
// holds its JSON text.
package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// maxKey is how many bytes of an unknown key a refusal repeats.
const maxKey = 200

// Record is a JSON object with any keys, as the bytes that were sent.
type Record json.RawMessage

// MarshalJSON returns the bytes that were sent, null for an empty Record.
func (r Record) MarshalJSON() ([]byte, error) { return json.RawMessage(r).MarshalJSON() }

// Enum is a string type of which only some values are valid.
type Enum interface{ OneOf() []string }

// Union is a struct whose only field, an any, holds a pointer to the one of
// several structs that the value conforms to. Variants returns new ones, in the
// order in which they are tried.
type Union interface{ Variants() []any }

// Checker is a type of string or Record with a rule: Check returns the reason why
// the value is refused, or "".
type Checker interface{ Check() string }

// Decode checks data, one JSON value that passed [Check], against the struct
// that into points to, and fills it. Raw fields alias data. The error, if any,
// is an *[Error].
func Decode(data []byte, into any) error {
	if err := decode(bytes.TrimSpace(data), reflect.ValueOf(into).Elem(), false); err != nil {
		return err
	}
	return nil
}

var (
	recordType  = reflect.TypeFor[Record]()
	rawType     = reflect.TypeFor[json.RawMessage]()
	enumType    = reflect.TypeFor[Enum]()
	unionType   = reflect.TypeFor[Union]()
	checkerType = reflect.TypeFor[Checker]()
)

// decode fills v from raw; an empty raw stands for an absent value.
func decode(raw []byte, v reflect.Value, noBlank bool) *Error {
	t := v.Type()
	switch {
	case t == rawType:
		return decodeAny(raw, v, noBlank)
	case t.Kind() == reflect.Slice && !isArray(t): // also types made of Record
		return decodeRecord(raw, v, noBlank)
	case t.Implements(unionType):
		return decodeUnion(raw, v)
	// A pointer to an Enum has its methods too: that is an Enum or null.
	case t.Kind() == reflect.String && t.Implements(enumType):
		return decodeEnum(raw, v)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return decodeNullable(raw, v, noBlank)
	case reflect.String:
		return decodeString(raw, v, noBlank)
	case reflect.Bool:
		return decodeBool(raw, v)
	case reflect.Slice:
		return decodeArray(raw, v, noBlank)
	case reflect.Struct:
		return decodeObject(raw, v)
	default:
		panic("schema: no rule for " + t.String())
	}
}

func decodeObject(raw []byte, v reflect.Value) *Error {
	if len(raw) == 0 {
		raw = []byte("{}") // so that the refusal names the field that is missing inside
	}
	raw, err := fromText(raw, "object")
	if err != nil {
		return err
	}
	if typeOf(raw) != "Object" {
		return refuse("expected a plain object value, but found [" + typeOf(raw) + "] instead.")
	}
	fields := fieldsOf(v.Type())
	var few [8]part
	values, other := partsOf(fields, few[:]), stranger{}
	for w := walkOver(raw); w.next(); {
		take(fields, values, &other, unquoted(w.key), part{raw: raw[w.start:w.end]})
	}
	return fill(fields, values, other, v)
}

// part is the value of a member, and its items if it is an array of which they are
// known.
type part struct {
	raw   []byte
	items [][]byte
}

// stranger is the first key that no field names.
type stranger struct {
	key   string
	found bool
}

// partsOf returns room for the values of fields, in a piece of memory if that is
// enough. (Slices and no struct of them: that would move the piece to the heap.)
func partsOf(fields []field, few []part) []part {
	if len(fields) > len(few) {
		return make([]part, len(fields))
	}
	return few[:len(fields)]
}

// take puts a member where it belongs. The last of equal keys wins, as in JavaScript.
func take(fields []field, values []part, other *stranger, key []byte, value part) {
	if i := indexOf(fields, key); i >= 0 {
		values[i] = value
	} else if !other.found {
		other.key, other.found = string(key), true
	}
}

// fill fills a struct.
func fill(fields []field, values []part, other stranger, v reflect.Value) *Error {
	for i, f := range fields {
		value := values[i]
		if value.raw == nil {
			value.raw = f.fallback
		}
		if err := f.decode(value, v.Field(i)); err != nil {
			return err.under(f.name)
		}
	}
	if !other.found {
		return nil
	}
	if len(other.key) > maxKey {
		other.key = strings.ToValidUTF8(other.key[:maxKey], "") + "…"
	}
	return refuse("definition for this key is missing").under(other.key)
}

// field is what the tags of a struct's field say.
type field struct {
	name     string
	fallback []byte // JSON; nil when there is no default
	noBlank  bool
	equals   string // the only string that is valid; "" for any
	maybe    bool   // a pointer, nil when absent; null is refused
}

func (f *field) decode(value part, v reflect.Value) *Error {
	switch {
	case f.equals != "":
		return decodeLiteral(value.raw, v, f.equals)
	case f.maybe:
		return decodeMaybe(value.raw, v, f.noBlank)
	case value.items != nil && isArray(v.Type()):
		return decodeItems(value.items, v, f.noBlank)
	default:
		return decode(value.raw, v, f.noBlank)
	}
}

var fieldCache sync.Map // reflect.Type → []field

func fieldsOf(t reflect.Type) []field {
	if known, ok := fieldCache.Load(t); ok {
		return known.([]field)
	}
	fields := make([]field, t.NumField())
	for i := range fields {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			panic(fmt.Sprintf("schema: %s.%s has no json name", t, f.Name))
		}
		fields[i] = field{name: name, noBlank: f.Tag.Get("blank") == "no", equals: f.Tag.Get("equals"), maybe: f.Tag.Get("maybe") == "yes"}
		if fallback, ok := f.Tag.Lookup("default"); ok {
			fields[i].fallback = []byte(fallback)
		}
	}
	fieldCache.Store(t, fields)
	return fields
}

func indexOf(fields []field, key []byte) int {
	for i := range fields {
		if fields[i].name == string(key) {
			return i
		}
	}
	return -1
}
