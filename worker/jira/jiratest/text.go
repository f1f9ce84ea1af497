package jiratest

import (
	"errors"
	"slices"
	"strings"
	"unicode"
)

// special are the characters that Lucene gives a meaning, unless a backslash
// stands before them.
const special = `+-&|!(){}[]^"~*?:/`

// terms reads the text of a ~ clause, after JQL took its own escapes away: the
// words that must all be there. It refuses what has a meaning of its own, as then
// the text is no text any more but a query.
func terms(text string) ([]string, error) {
	var plain strings.Builder
	bare := true // nothing of the present word was escaped
	var word strings.Builder
	flush := func() error {
		defer word.Reset()
		if w := word.String(); bare && (w == "AND" || w == "OR" || w == "NOT") {
			return errors.New("the text has the operator " + w)
		}
		bare = true
		return nil
	}
	escaped := false
	for _, r := range text {
		switch {
		case escaped:
			escaped, bare = false, false
		case r == '\\':
			escaped = true
			continue
		case strings.ContainsRune(special, r):
			return nil, errors.New("the text has an unescaped " + string(r))
		}
		plain.WriteRune(r)
		if !isSpace(r) {
			word.WriteRune(r)
			continue
		}
		if err := flush(); err != nil {
			return nil, err
		}
	}
	if escaped {
		return nil, errors.New("the text ends in a backslash")
	}
	return words(plain.String()), flush()
}

// words are what an index keeps of a text: letters and digits in lower case.
func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// contains reports whether a text has every term. No term is in no text.
func contains(text string, terms []string) bool {
	has := words(text)
	for _, t := range terms {
		if !slices.Contains(has, t) {
			return false
		}
	}
	return len(terms) > 0
}

// plain is the text of a ~ clause without its escapes, as it names a fault.
func plain(text string) string {
	var b strings.Builder
	escaped := false
	for _, r := range text {
		if r == '\\' && !escaped {
			escaped = true
			continue
		}
		escaped = false
		b.WriteRune(r)
	}
	return b.String()
}
