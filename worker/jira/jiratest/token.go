package jiratest

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a word, a quoted string or an operator; the end is an empty operator.
type token struct {
	kind  tokenKind
	text  string // unescaped
	place string // " (line 1, character 1)"
}

type tokenKind int

const (
	operator tokenKind = iota
	word
	quoted
)

func (t token) end() bool              { return t.kind == operator && t.text == "" }
func (t token) operator(s string) bool { return t.kind == operator && t.text == s }
func (t token) keyword(s string) bool  { return t.kind == word && strings.EqualFold(t.text, s) }

// lexer cuts JQL into tokens.
type lexer struct {
	rest         string
	line, column int
}

// take returns the next character and goes past it.
func (l *lexer) take() rune {
	r, size := utf8.DecodeRuneInString(l.rest)
	l.rest = l.rest[size:]
	l.column++
	if r == '\n' {
		l.line, l.column = l.line+1, 1
	}
	return r
}

func (l *lexer) peek() rune {
	r, _ := utf8.DecodeRuneInString(l.rest)
	return r
}

func (l *lexer) place() string { return fmt.Sprintf(" (line %d, character %d)", l.line, l.column) }

func (l *lexer) token() (token, error) {
	for l.rest != "" && isSpace(l.peek()) {
		l.take()
	}
	place := l.place()
	if l.rest == "" {
		return token{place: place}, nil
	}
	for _, op := range []string{"!=", "!~", "<=", ">=", "&&", "||", "=", "~", "<", ">", "!", "&", "|", "(", ")", ","} {
		if strings.HasPrefix(l.rest, op) {
			for range op {
				l.take()
			}
			return token{operator, op, place}, nil
		}
	}
	if quote := l.peek(); quote == '"' || quote == '\'' {
		l.take()
		text, err := l.quoted(quote, place)
		return token{quoted, text, place}, err
	}
	text, err := l.word()
	return token{word, text, place}, err
}

func (l *lexer) quoted(quote rune, place string) (string, error) {
	var text strings.Builder
	for l.rest != "" && l.peek() != '\n' && l.peek() != '\r' {
		if l.peek() == quote {
			l.take()
			return text.String(), nil
		}
		r, err := l.character()
		if err != nil {
			return "", err
		}
		text.WriteRune(r)
	}
	if text.Len() == 0 {
		return "", jqlError("The quoted string has not been completed." + place)
	}
	return "", jqlError("The quoted string '" + text.String() + "' has not been completed." + place)
}

func (l *lexer) word() (string, error) {
	var text strings.Builder
	for l.rest != "" && !isSpace(l.peek()) && !strings.ContainsRune("=!~<>&|(),'\"", l.peek()) {
		if r := l.peek(); strings.ContainsRune("{}*/%+^$#@?[];", r) {
			return "", jqlError(fmt.Sprintf("The character '%c' is a reserved JQL character. You must enclose it in a string or use the escape '\\u%04x' instead.%s",
				r, r, l.place()))
		}
		r, err := l.character()
		if err != nil {
			return "", err
		}
		text.WriteRune(r)
	}
	return text.String(), nil
}

// character reads one character of a word or a string, or one escape.
func (l *lexer) character() (rune, error) {
	place := l.place()
	if _, size := utf8.DecodeRuneInString(l.rest); size == 1 && l.peek() == utf8.RuneError {
		return 0, jqlError("The query is not UTF-8." + place)
	}
	r := l.take()
	if unicode.IsControl(r) || 0xfdd0 <= r && r <= 0xfdef || r == 0xfffe || r == 0xffff {
		return 0, jqlError(fmt.Sprintf("The character 'U+%04X' must be escaped. Use the escape '\\u%04x' instead.%s", r, r, place))
	}
	if r != '\\' {
		return r, nil
	}
	const valid = `The valid escape sequences are \', \", \t, \n, \r, \\, '\ ' and \uXXXX.`
	if l.rest == "" {
		return 0, jqlError("The escape sequence has not been completed. " + valid + place)
	}
	escaped := l.take()
	switch escaped {
	case '\'', '"', '\\', ' ':
		return escaped, nil
	case 't':
		return '\t', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 'u':
		if len(l.rest) >= 4 {
			if code, err := strconv.ParseUint(l.rest[:4], 16, 16); err == nil {
				for range 4 {
					l.take()
				}
				return rune(code), nil
			}
		}
	}
	return 0, jqlError("'\\" + string(escaped) + "' is an illegal JQL escape sequence. " + valid + place)
}

func isSpace(r rune) bool { return unicode.IsSpace(r) }
