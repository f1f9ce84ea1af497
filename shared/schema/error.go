package schema

import "strings"

// Error is a refusal: where, and in Kibana's words why.
type Error struct {
	Path   []string // keys and indexes from the outside in; empty for the value itself
	Reason string   // "expected value of type [string] but got [undefined]"
	// Alternatives tells of every type of a union why it refused; Reason is then
	// "types that failed validation:".
	Alternatives []*Error
}

// Error returns the refusal as Kibana prints it without a namespace:
// "[path]: reason", or the reason alone for the value itself.
func (e *Error) Error() string { return e.in(nil, 0) }

// In returns the refusal with a namespace before the path:
// "[request body.name]: reason" for the namespace "request body".
func (e *Error) In(namespace string) string { return e.in([]string{namespace}, 0) }

func (e *Error) in(namespace []string, level int) string {
	var b strings.Builder
	if path := append(namespace[:len(namespace):len(namespace)], e.Path...); len(path) > 0 {
		b.WriteString("[" + strings.Join(path, ".") + "]: ")
	}
	b.WriteString(e.Reason)
	for _, a := range e.Alternatives {
		b.WriteString("\n" + strings.Repeat(" ", level) + "- ")
		b.WriteString(a.in(namespace, level+1))
	}
	return b.String()
}

// under puts key before the path of the refusal and of its alternatives.
func (e *Error) under(key string) *Error {
	e.Path = append([]string{key}, e.Path...)
	for _, a := range e.Alternatives {
		_ = a.under(key) // in place
	}
	return e
}

func refuse(reason string) *Error { return &Error{Reason: reason} }

func wrongType(want string, raw []byte) *Error {
	return refuse("expected value of type [" + want + "] but got [" + typeOf(raw) + "]")
}
