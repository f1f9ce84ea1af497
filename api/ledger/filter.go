package ledger

import (
	"slices"
	"strings"
	"time"

	"patchbay.dev/shared/wire"
)

// Filter selects executions.
type Filter struct {
	Spaces      []string // any of them; nil for all
	ConnectorID string
	Key         string // idempotency key
	Types       []string
	States      []State
	Outcomes    []wire.Outcome
	Classes     []Class
	Durable     *bool
	From, Until time.Time // of CreatedAt: from this on, and before that; zero for no limit
	Text        string    // in id, connector id or name, message or service message, whatever the case
}

// clause is the part of a statement after WHERE.
type clause struct {
	terms []string
	args  []any
}

func (c *clause) add(term string, args ...any) {
	c.terms = append(c.terms, term)
	c.args = append(c.args, args...)
}

// in adds that a column has one of some values; none is no condition.
func in[T ~string](c *clause, column string, values []T) {
	if len(values) == 0 {
		return
	}
	for _, v := range values {
		c.args = append(c.args, string(v))
	}
	c.terms = append(c.terms, column+" IN (?"+strings.Repeat(", ?", len(values)-1)+")")
}

// dead reports whether f selects dead letters only.
func (f *Filter) dead() bool { return slices.Equal(f.States, []State{Dead}) }

// from returns the table of executions. Dead letters have an index of their own, that
// SQLite would leave aside: it does not know how few they are.
func (f *Filter) from() string {
	if f.dead() {
		return "execution e INDEXED BY execution_dead"
	}
	return "execution e"
}

// where returns what f asks of e, the table of executions, and of the one that has the
// attempts.
func (f *Filter) where(attempts string) *clause {
	c := &clause{terms: []string{"TRUE"}}
	if f.Spaces != nil && len(f.Spaces) == 0 {
		c.add("FALSE")
	}
	in(c, "e.space", f.Spaces)
	if f.ConnectorID != "" {
		c.add("e.connector_id = ?", f.ConnectorID)
	}
	if f.Key != "" {
		c.add("e.key = ?", f.Key)
	}
	in(c, "e.type", f.Types)
	if f.dead() {
		c.add("e.state = 'dead'") // not as an argument: the index is of this very term
	} else {
		in(c, "e.state", f.States)
	}
	in(c, attempts+".outcome", f.Outcomes)
	in(c, "e.class", f.Classes)
	if f.Durable != nil {
		c.add("e.durable = ?", *f.Durable)
	}
	if !f.From.IsZero() {
		c.add("e.created_at >= ?", ceilMicros(f.From))
	}
	if !f.Until.IsZero() {
		c.add("e.created_at < ?", ceilMicros(f.Until))
	}
	f.text(c, attempts)
	return c
}

// ceilMicros is the first microsecond that is not before t.
func ceilMicros(t time.Time) int64 { return micros(t.Add(time.Microsecond - 1)) }

// text adds that one of the texts has f.Text in it. LIKE takes the letters of ASCII in
// either case and no others: where there are others both cases are tried.
func (f *Filter) text(c *clause, attempts string) {
	if f.Text == "" {
		return
	}
	var terms []string
	variants := []string{strings.ToLower(f.Text)}
	if upper := strings.ToUpper(f.Text); strings.ContainsFunc(f.Text, func(r rune) bool { return r > 127 }) {
		variants = append(variants, upper)
		if variants[0] != f.Text && upper != f.Text {
			variants = append(variants, f.Text)
		}
	}
	escape := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
	for _, column := range []string{"e.id", "e.connector_id", "e.connector_name", attempts + ".message", attempts + ".service_message"} {
		for _, v := range variants {
			terms = append(terms, column+` LIKE ? ESCAPE '\'`)
			c.args = append(c.args, "%"+escape.Replace(v)+"%")
		}
	}
	c.terms = append(c.terms, "("+strings.Join(terms, " OR ")+")")
}

func (c *clause) String() string { return strings.Join(c.terms, " AND ") }
