//lint:file-ignore ST1005 the texts are Jira's

package jiratest

import (
	"fmt"
	"strings"
)

// query is JQL that was understood: clauses that all must hold, and an order.
type query struct {
	clauses []clause
	order   []sorting
}

type clause struct {
	field    string // lower case
	operator string
	value    string // unescaped
}

type sorting struct {
	field      string // lower case
	descending bool
}

const operators = "The valid operators are '=', '!=', '<', '>', '<=', '>=', '~', '!~', 'IN', 'NOT IN', 'IS' and 'IS NOT'."

// parser reads a query of clauses with AND and ORDER BY; OR, NOT and brackets are
// refused, as a connector has no use for them.
type parser struct {
	lexer
	next token
}

func parseJQL(text string) (query, error) {
	p := parser{lexer: lexer{rest: text, line: 1, column: 1}}
	if err := p.advance(); err != nil {
		return query{}, err
	}
	var q query
	for {
		c, err := p.clause()
		if err != nil {
			return query{}, err
		}
		q.clauses = append(q.clauses, c)
		switch {
		case p.next.end():
			return q, nil
		case p.next.keyword("and"):
			if err := p.advance(); err != nil {
				return query{}, err
			}
		case p.next.keyword("order"):
			q.order, err = p.ordering()
			return q, err
		case p.next.keyword("or"):
			return query{}, jqlError("OR is not taken here." + p.next.place)
		default:
			return query{}, jqlError("Expecting either 'OR' or 'AND' but got '" + p.next.text + "'." + p.next.place)
		}
	}
}

func jqlError(text string) error { return fmt.Errorf("Error in the JQL Query: %s", text) }

func (p *parser) advance() (err error) {
	p.next, err = p.token()
	return err
}

func (p *parser) clause() (clause, error) {
	field, err := p.field()
	if err != nil {
		return clause{}, err
	}
	op := p.next
	switch {
	case op.end():
		return clause{}, jqlError("Expecting operator before the end of the query. " + operators)
	case op.kind != operator:
		return clause{}, jqlError("Expecting operator but got '" + op.text + "'. " + operators + op.place)
	}
	if err := p.advance(); err != nil {
		return clause{}, err
	}
	value := p.next
	switch {
	case value.end():
		return clause{}, jqlError("Expecting either a value, list or function before the end of the query.")
	case value.kind == operator:
		return clause{}, jqlError("Expecting either a value, list or function but got '" + value.text +
			"'. You must surround '" + value.text + "' in quotation marks to use it as a value." + value.place)
	case value.kind == word && reserved[strings.ToLower(value.text)]:
		return clause{}, jqlError("'" + value.text +
			"' is a reserved JQL word. You must surround it in quotation marks to use it in a query." + value.place)
	}
	return clause{field, op.text, value.text}, p.advance()
}

func (p *parser) field() (string, error) {
	name := p.next
	switch {
	case name.end():
		return "", jqlError("Expecting a field name at the end of the query.")
	case name.kind == operator:
		return "", jqlError("Expecting a field name but got '" + name.text + "'. You must surround '" + name.text +
			"' in quotation marks to use it as a field name." + name.place)
	case name.text == "":
		return "", jqlError("A field name cannot be empty." + name.place)
	case name.kind == word && reserved[strings.ToLower(name.text)]:
		return "", jqlError("Expecting a field name but got '" + name.text + "'. You must surround '" + name.text +
			"' in quotation marks to use it as a field name." + name.place)
	}
	return strings.ToLower(name.text), p.advance()
}

// ordering reads ORDER BY to the end of the query.
func (p *parser) ordering() ([]sorting, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	switch {
	case p.next.end():
		return nil, jqlError("Expecting 'by' before the end of the query.")
	case !p.next.keyword("by"):
		return nil, jqlError("Expecting 'by' but got '" + p.next.text + "'." + p.next.place)
	}
	var order []sorting
	for {
		if err := p.advance(); err != nil {
			return nil, err
		}
		field, err := p.field()
		if err != nil {
			return nil, err
		}
		by := sorting{field, p.next.keyword("desc")}
		if by.descending || p.next.keyword("asc") {
			if err := p.advance(); err != nil {
				return nil, err
			}
		}
		order = append(order, by)
		switch {
		case p.next.end():
			return order, nil
		case !p.next.operator(","):
			return nil, jqlError("Expecting ',' but got '" + p.next.text + "'." + p.next.place)
		}
	}
}

// reserved are words of JQL that must be quoted, by what a connector might meet
// as a project key or a word of a title.
var reserved = func() map[string]bool {
	words := map[string]bool{}
	for w := range strings.FieldsSeq(`abort access add after alias all alter and any as asc audit avg before begin between
		boolean break by byte catch cf changed char character check checkpoint collate collation column commit connect
		continue count create current date decimal declare decrement default defaults define delete delimiter desc
		difference distinct divide do double drop else empty encoding end equals escape exclusive exec execute exists
		explain false fetch field file first float for from function go goto grant greater group having identified if
		immediate in increment index initial inner inout input insert int integer intersect intersection into is isempty
		isnull join last left less like limit lock long max min minus mode modify modulo more multiply next noaudit not
		notin nowait null number object of on option or order outer output power previous prior privileges public raise
		raw remainder rename resource return returns revoke right row rowid rownum rows select session set share size
		sqrt start strict string subtract sum synonym table then to trans transaction trigger true uid union unique
		update user validate values view was when whenever where while with`) {
		words[w] = true
	}
	return words
}()
