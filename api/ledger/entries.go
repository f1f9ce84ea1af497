package ledger

import (
	"context"
	"fmt"
	"strings"

	"patchbay.dev/shared/wire"
)

// Entry is one attempt in the log of all spaces.
type Entry struct {
	Execution
	Attempt
}

// attemptTables are what an attempt that ended stands in: the first with its execution,
// the others beside it. The attempt's columns are those of x.
var attemptTables = []struct{ from, where string }{
	{"execution e JOIN execution x ON x.seq = e.seq", "x.ended_at > 0 AND x.started_at > 0"},
	{"attempt x CROSS JOIN execution e ON e.seq = x.seq", "TRUE"}, // in this order: there are few
}

// union returns a statement over all attempts that ended and that f selects.
func (f *Filter) union(selected string) (string, []any) {
	var parts []string
	var args []any
	for _, table := range attemptTables {
		where := f.where("x")
		parts = append(parts, "SELECT "+selected+" FROM "+table.from+" WHERE "+table.where+" AND "+where.String())
		args = append(args, where.args...)
	}
	return strings.Join(parts, " UNION ALL "), args
}

// Entries returns attempts that ended, also those that another followed: the page (1 for
// the first) of the given size, and how many there are in all. By is as in Sort.
func (l *Ledger) Entries(ctx context.Context, f Filter, s []Sort, size, page int) ([]Entry, int, error) {
	entries, total, err := l.entries(ctx, f, s, size, page)
	if err != nil {
		return nil, 0, fmt.Errorf("select attempts: %w", explain(err))
	}
	return entries, total, nil
}

func (l *Ledger) entries(ctx context.Context, f Filter, sorts []Sort, size, page int) ([]Entry, int, error) {
	selected, order := columns+`, `+strings.ReplaceAll(attemptColumns, "e.", "x."), ""
	for i, s := range sorts {
		key, err := s.key("x")
		if err != nil {
			return nil, 0, err
		}
		selected += fmt.Sprintf(", %s AS key%d", key, i)
		order += fmt.Sprintf("key%d %s, ", i, s.direction())
	}
	selected += ", e.seq AS last_key, x.attempt AS last_attempt"
	order += "last_key DESC, last_attempt DESC"
	var total int
	count, args := f.union("count(*) AS n")
	if err := l.lists.QueryRowContext(ctx, "SELECT sum(n) FROM ("+count+")", args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	query, args := f.union(selected)
	rows, err := l.lists.QueryContext(ctx, query+" ORDER BY "+order+" LIMIT ? OFFSET ?", append(args, size, (page-1)*size)...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	var entries []Entry
	for rows.Next() {
		var r row
		var x attemptRow
		dest := append(r.dest(), x.dest()...)
		for range len(sorts) + 2 { // the keys, which only order
			dest = append(dest, new(any))
		}
		if err := rows.Scan(dest...); err != nil {
			return nil, 0, err
		}
		e := r.execution()
		entries = append(entries, Entry{e, x.attempt(x.number == e.Attempt.Number && e.Attempt.Last)})
	}
	return entries, total, rows.Err()
}

// Outcomes counts attempts that ended by outcome.
func (l *Ledger) Outcomes(ctx context.Context, f Filter) (map[wire.Outcome]int, error) {
	outcomes, err := l.outcomes(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("count outcomes: %w", explain(err))
	}
	return outcomes, nil
}

func (l *Ledger) outcomes(ctx context.Context, f Filter) (map[wire.Outcome]int, error) {
	query, args := f.union("x.outcome AS outcome")
	rows, err := l.lists.QueryContext(ctx, "SELECT outcome, count(*) FROM ("+query+") GROUP BY outcome", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	outcomes := map[wire.Outcome]int{}
	for rows.Next() {
		var outcome wire.Outcome
		var n int
		if err := rows.Scan(&outcome, &n); err != nil {
			return nil, err
		}
		outcomes[outcome] = n
	}
	return outcomes, rows.Err()
}
