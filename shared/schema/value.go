package schema

import (
	"bytes"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

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

func decodeMaybe(raw []byte, v reflect.Value, noBlank bool) *Error {
	if len(raw) == 0 {
		v.SetZero()
		return nil
	}
	elem := reflect.New(v.Type().Elem())
	if err := decode(raw, elem.Elem(), noBlank); err != nil {
		return err
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
	list := newList(v.Type(), 1)
	for each := range elements(raw) {
		if err := list.add(each, noBlank); err != nil {
			return err
		}
	}
	v.Set(list.Value)
	return nil
}

// decodeItems is decodeArray for an array of which the items are known.
func decodeItems(items [][]byte, v reflect.Value, noBlank bool) *Error {
	if records, ok := v.Addr().Interface().(*[]Record); ok { // documents: thousands of them
		return decodeRecords(items, records, noBlank)
	}
	list := newList(v.Type(), len(items))
	for _, each := range items {
		if err := list.add(each, noBlank); err != nil {
			return err
		}
	}
	v.Set(list.Value)
	return nil
}

func decodeRecords(items [][]byte, records *[]Record, noBlank bool) *Error {
	list := make([]Record, len(items))
	for i, each := range items {
		raw, err := record(each, noBlank)
		if err != nil {
			return err.under(strconv.Itoa(i))
		}
		list[i] = raw
	}
	*records = list
	return nil
}

// isArray tells slices that stand for arrays from a Record and what is made of it.
func isArray(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t != recordType && t != rawType && !t.ConvertibleTo(recordType)
}

// list is a slice that grows.
type list struct{ reflect.Value }

func newList(t reflect.Type, room int) list {
	l := list{reflect.New(t).Elem()} // can be set, so that to grow takes memory for its items alone
	l.Set(reflect.MakeSlice(t, 0, room))
	return l
}

func (l list) add(raw []byte, noBlank bool) *Error {
	n := l.Len()
	l.Grow(1)
	l.SetLen(n + 1)
	item := l.Index(n)
	item.SetZero()
	if err := decode(raw, item, noBlank); err != nil {
		return err.under(strconv.Itoa(n))
	}
	return nil
}

func decodeRecord(raw []byte, v reflect.Value, noBlank bool) *Error {
	raw, err := record(raw, noBlank)
	if err != nil {
		return err
	}
	v.SetBytes(raw)
	return check(v)
}

func record(raw []byte, noBlank bool) ([]byte, *Error) {
	raw, err := fromText(raw, "record")
	if err != nil {
		return nil, err
	}
	if typeOf(raw) != "Object" {
		return nil, wrongType("object", raw)
	}
	if noBlank {
		for key, value := range Members(raw) {
			if hasBlank(value) {
				return nil, refuse("value '' is not valid").under(key)
			}
		}
	}
	return raw, nil
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
