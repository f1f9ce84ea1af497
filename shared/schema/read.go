package schema

import (
	"reflect"
	"unicode/utf8"
)

// This file has what looks at data of which nothing is known only once: the bodies
// and params of executions are most of what this package reads.

// CheckEach is [Check] and then [Each], for data of which nothing is known: what is
// no object has no members. It reads data once.
func CheckEach(data []byte, maxDepth int, read func(key, value []byte) error) error {
	var few [16]member
	members, ok := membersOf(data, maxDepth, few[:0], nil)
	if !ok || !utf8.Valid(data) {
		if err := Check(data, maxDepth); err != nil {
			return err
		}
		return Each(data, read)
	}
	for _, m := range members {
		if err := read(unquoted(data[m.key:m.keyEnd]), data[m.value:m.end]); err != nil {
			return err
		}
	}
	return nil
}

// Read is [Check] and then [Decode], for data of which nothing is known. What nests
// no deeper than the items of arrays in the struct is looked at once.
func Read(data []byte, maxDepth int, into any) error {
	v := reflect.ValueOf(into).Elem()
	if v.Kind() != reflect.Struct || v.Type().Implements(unionType) {
		return readTwice(data, maxDepth, into)
	}
	var few [16]member
	var items itemList
	members, ok := membersOf(data, maxDepth, few[:0], &items)
	if !ok || !utf8.Valid(data) {
		return readTwice(data, maxDepth, into)
	}
	fields := fieldsOf(v.Type())
	var fewParts [8]part
	values, other := partsOf(fields, fewParts[:]), stranger{}
	for _, m := range members {
		value := part{raw: data[m.value:m.end]}
		if m.items < m.itemsEnd {
			value.items = items[m.items:m.itemsEnd]
		}
		take(fields, values, &other, unquoted(data[m.key:m.keyEnd]), value)
	}
	if err := fill(fields, values, other, v); err != nil {
		return err
	}
	return nil
}

func readTwice(data []byte, maxDepth int, into any) error {
	if err := Check(data, maxDepth); err != nil {
		return err
	}
	return Decode(data, into)
}

// member is where the parts of a member stand. If its value is an array, its items
// may be known: they are some of a list.
type member struct{ key, keyEnd, value, end, items, itemsEnd int }

// itemList are the items of arrays. There are at most maxItems: those of larger
// arrays are found again, so that a body of many small ones takes no more memory
// than it may be worth.
type itemList [][]byte

const maxItems, fewItems = 1024, 64

// membersOf appends the members of an object of which nothing is known. It reports
// whether data is well formed, and an object of no more members than there is room for.
// The items of arrays go to a list, unless it is nil.
func membersOf(data []byte, maxDepth int, into []member, items *itemList) ([]member, bool) {
	i := skipSpace(data, 0)
	if i == len(data) || data[i] != '{' || maxDepth < 1 {
		return nil, false
	}
	if i = skipSpace(data, i+1); i < len(data) && data[i] == '}' {
		return into, skipSpace(data, i+1) == len(data)
	}
	for len(into) < cap(into) {
		m := member{key: i}
		var ok bool
		if i, ok = skipKey(data, i); !ok {
			return nil, false
		}
		m.keyEnd = stringEnd(data, m.key)
		m.value = skipSpace(data, i)
		if items != nil && m.value < len(data) && data[m.value] == '[' {
			m.items = len(*items)
			m.end, ok = items.skipArray(data, m.value, maxDepth-1)
			m.itemsEnd = len(*items)
		} else {
			m.end, ok = skipValue(data, m.value, maxDepth-1)
		}
		if !ok {
			return nil, false
		}
		into = append(into, m)
		if i = skipSpace(data, m.end); i == len(data) {
			return nil, false
		}
		switch data[i] {
		case ',':
			i = skipSpace(data, i+1)
		case '}':
			return into, skipSpace(data, i+1) == len(data)
		default:
			return nil, false
		}
	}
	return nil, false
}

// skipArray is skipValue for the array at i, whose items it adds unless there are
// too many.
func (l *itemList) skipArray(data []byte, i, maxDepth int) (end int, ok bool) {
	first, start := len(*l), i
	if i = skipSpace(data, i+1); maxDepth < 1 || i == len(data) || data[i] == ']' {
		return skipValue(data, start, maxDepth)
	}
	for len(*l) < maxItems {
		end, ok := skipValue(data, i, maxDepth-1)
		if !ok {
			return end, false
		}
		if *l == nil {
			*l = make(itemList, 0, fewItems)
		}
		*l = append(*l, data[i:end])
		if i = skipSpace(data, end); i == len(data) {
			return i, false
		}
		switch data[i] {
		case ',':
			i = skipSpace(data, i+1)
		case ']':
			return i + 1, true
		default:
			return i, false
		}
	}
	*l = (*l)[:first]
	return skipValue(data, start, maxDepth)
}
