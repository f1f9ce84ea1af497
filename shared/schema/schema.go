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
// RawMessage.
//
// As in config-schema, an object, record or array may come as a string that
// holds its JSON text.
package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
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
	case t.Kind() == reflect.Slice && t.ConvertibleTo(recordType): // also types made of Record
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

func decodeString(raw []byte, v reflect.Value, noBlank bool) *Error {
	if typeOf(raw) != "string" {
		return wrongType("string", raw)
	}
	s := text(raw)
	if noBlank && strings.TrimSpace(s) == "" {
		return refuse("value '' is not valid")
	}
	v.SetString(s)
	return check(v)
}

// check applies the rule of the type of v, if it has one.
func check(v reflect.Value) *Error {
	if !v.Type().Implements(checkerType) {
		return nil
	}
	if reason := v.Interface().(Checker).Check(); reason != "" {
		return refuse(reason)
	}
	return nil
}

func decodeLiteral(raw []byte, v reflect.Value, want string) *Error {
	if typeOf(raw) != "string" || text(raw) != want {
		return refuse("expected value to equal [" + want + "]")
	}
	v.SetString(want)
	return nil
}

func decodeUnion(raw []byte, v reflect.Value) *Error {
	union := refuse("types that failed validation:")
	for i, variant := range v.Interface().(Union).Variants() {
		err := decode(raw, reflect.ValueOf(variant).Elem(), false)
		if err == nil {
			v.Field(0).Set(reflect.ValueOf(variant))
			return nil
		}
		union.Alternatives = append(union.Alternatives, err.under(strconv.Itoa(i)))
	}
	return union
}

func decodeBool(raw []byte, v reflect.Value) *Error {
	word := string(raw)
	if typeOf(raw) == "string" {
		word = text(raw)
	}
	switch strings.ToLower(word) {
	case "true":
		v.SetBool(true)
	case "false":
		v.SetBool(false)
	default:
		return wrongType("boolean", raw)
	}
	return nil
}

func decodeEnum(raw []byte, v reflect.Value) *Error {
	values := v.Interface().(Enum).OneOf()
	if typeOf(raw) == "string" {
		if got := text(raw); slices.Contains(values, got) {
			v.SetString(got)
			return nil
		}
	}
	union := refuse("types that failed validation:")
	for i, want := range values {
		alternative := refuse("expected value to equal [" + want + "]")
		union.Alternatives = append(union.Alternatives, alternative.under(strconv.Itoa(i)))
	}
	return union
}

func decodeNullable(raw []byte, v reflect.Value, noBlank bool) *Error {
	if len(raw) == 0 || typeOf(raw) == "null" {
		v.SetZero()
		return nil
	}
	elem := reflect.New(v.Type().Elem())
	if err := decode(raw, elem.Elem(), noBlank); err != nil {
		// Only the path of err itself: Kibana does not number the alternatives of
		// an alternative.
		err.Path = append([]string{"0"}, err.Path...)
		union := refuse("types that failed validation:")
		union.Alternatives = []*Error{
			err,
			refuse("expected value to equal [null]").under("1"),
		}
		return union
	}
	v.Set(elem)
	return nil
}

func decodeArray(raw []byte, v reflect.Value, noBlank bool) *Error {
	raw, err := fromText(raw, "array")
	if err != nil {
		return err
	}
	if typeOf(raw) != "Array" {
		return wrongType("array", raw)
	}
	list := reflect.MakeSlice(v.Type(), 0, 1)
	item := reflect.New(v.Type().Elem()).Elem()
	for each := range elements(raw) {
		item.SetZero()
		if err := decode(each, item, noBlank); err != nil {
			return err.under(strconv.Itoa(list.Len()))
		}
		list = reflect.Append(list, item)
	}
	v.Set(list)
	return nil
}

func decodeRecord(raw []byte, v reflect.Value, noBlank bool) *Error {
	raw, err := fromText(raw, "record")
	if err != nil {
		return err
	}
	if typeOf(raw) != "Object" {
		return wrongType("object", raw)
	}
	if noBlank {
		for key, value := range Members(raw) {
			if hasBlank(value) {
				return refuse("value '' is not valid").under(key)
			}
		}
	}
	v.SetBytes(raw)
	return check(v)
}

func decodeAny(raw []byte, v reflect.Value, noBlank bool) *Error {
	if len(raw) == 0 {
		return refuse("expected value of type [any] but got [undefined]")
	}
	if noBlank && hasBlank(raw) {
		return refuse("value '' is not valid")
	}
	v.SetBytes(raw)
	return nil
}

// hasBlank reports whether raw is, or holds at any depth, a string of white space
// only. It looks at every string once: one that a colon follows is a key.
func hasBlank(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '"' {
			continue
		}
		end := stringEnd(raw, i)
		next := skipSpace(raw, end)
		isKey := next < len(raw) && raw[next] == ':'
		if !isKey && strings.TrimSpace(text(raw[i:end])) == "" {
			return true
		}
		i = end - 1
	}
	return false
}

// fromText returns raw, or the JSON inside when raw is a string.
func fromText(raw []byte, what string) ([]byte, *Error) {
	if typeOf(raw) != "string" {
		return raw, nil
	}
	inside := bytes.Trim([]byte(text(raw)), " \t\r\n") // what JSON calls white space
	if err := Check(inside, MaxDepth); err != nil {
		return nil, refuse("could not parse " + what + " value from json input")
	}
	return inside, nil
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
	var few [8][]byte
	values := few[:0]
	if len(fields) > len(few) {
		values = make([][]byte, 0, len(fields))
	}
	values = values[:len(fields)]
	unknown, hasUnknown := "", false
	for key, value := range Members(raw) {
		if i := indexOf(fields, key); i >= 0 {
			values[i] = value // the last of equal keys wins, as in JavaScript
		} else if !hasUnknown {
			unknown, hasUnknown = key, true
		}
	}
	for i, f := range fields {
		value := values[i]
		if value == nil {
			value = f.fallback
		}
		if err := f.decode(value, v.Field(i)); err != nil {
			return err.under(f.name)
		}
	}
	if hasUnknown {
		if len(unknown) > maxKey {
			unknown = strings.ToValidUTF8(unknown[:maxKey], "") + "…"
		}
		return refuse("definition for this key is missing").under(unknown)
	}
	return nil
}

// field is what the tags of a struct's field say.
type field struct {
	name     string
	fallback []byte // JSON; nil when there is no default
	noBlank  bool
	equals   string // the only string that is valid; "" for any
}

func (f *field) decode(raw []byte, v reflect.Value) *Error {
	if f.equals != "" {
		return decodeLiteral(raw, v, f.equals)
	}
	return decode(raw, v, f.noBlank)
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
		fields[i] = field{name: name, noBlank: f.Tag.Get("blank") == "no", equals: f.Tag.Get("equals")}
		if fallback, ok := f.Tag.Lookup("default"); ok {
			fields[i].fallback = []byte(fallback)
		}
	}
	fieldCache.Store(t, fields)
	return fields
}

func indexOf(fields []field, key string) int {
	for i := range fields {
		if fields[i].name == key {
			return i
		}
	}
	return -1
}
