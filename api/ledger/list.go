package ledger

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// Sort is the order of a list.
type Sort struct {
	By        string // "created_at", "duration" (run and dispatch), "queue"
	Ascending bool
}

// Page is one page of a list.
type Page struct {
	Executions []Execution
	Next       string // token of the next page; "" for none
}

// ErrToken says that the token of a page is not one of this list.
var ErrToken = errors.New("the token is not of this list")

// errSort is a slip of the caller, who knows what there is.
var errSort = errors.New("there is no such order")

// key returns what the rows are ordered by; attempts is the table that has the attempts.
func (s Sort) key(attempts string) (string, error) {
	switch s.By {
	case "created_at":
		return "e.created_at", nil
	case "duration":
		return "(" + attempts + ".dispatch_us + " + attempts + ".run_us)", nil
	case "queue":
		return attempts + ".queue_us", nil
	default:
		return "", fmt.Errorf("%w: %q", errSort, s.By)
	}
}

func (s Sort) direction() string {
	if s.Ascending {
		return "ASC"
	}
	return "DESC"
}

// position is a row in a list: what a token says.
type position struct {
	By        string `json:"b"`
	Ascending bool   `json:"a,omitempty"`
	Key       int64  `json:"k"`
	Seq       int64  `json:"s"`
}

func (p position) token() string {
	data, _ := json.Marshal(p) // strings and numbers always can be
	return base64.RawURLEncoding.EncodeToString(data)
}

func readToken(token string, s Sort) (p position, err error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil || p.By != s.By || p.Ascending != s.Ascending {
		return p, ErrToken
	}
	return p, nil
}

// List returns the executions that a filter selects, size at most, from the page that
// token names ("" for the first). A malformed token, or one of another sort, is an
// error that says so: [ErrToken].
func (l *Ledger) List(ctx context.Context, f Filter, s Sort, size int, token string) (Page, error) {
	key, err := s.key("e")
	if err != nil {
		return Page{}, err
	}
	where := f.where("e")
	if token != "" {
		p, err := readToken(token, s)
		if err != nil {
			return Page{}, err
		}
		sign := "<"
		if s.Ascending {
			sign = ">"
		}
		where.add("("+key+", e.seq) "+sign+" (?, ?)", p.Key, p.Seq)
	}
	query := fmt.Sprintf(`SELECT %s, %s FROM %s WHERE %s ORDER BY %[2]s %[5]s, e.seq %[5]s LIMIT ?`,
		columns, key, f.from(), where, s.direction())
	page, err := l.page(ctx, query, append(where.args, size+1), s, size) // one more says that there is more
	if err != nil {
		return Page{}, fmt.Errorf("select executions: %w", explain(err))
	}
	return page, nil
}

func (l *Ledger) page(ctx context.Context, query string, args []any, s Sort, size int) (page Page, err error) {
	rows, err := l.lists.QueryContext(ctx, query, args...)
	if err != nil {
		return page, err
	}
	defer rows.Close()
	last := position{By: s.By, Ascending: s.Ascending}
	for rows.Next() {
		if len(page.Executions) == size {
			page.Next = last.token()
			break
		}
		var r row
		if err := rows.Scan(r.dest(&last.Key)...); err != nil {
			return page, err
		}
		last.Seq = r.Seq
		page.Executions = append(page.Executions, r.execution())
	}
	return page, rows.Err()
}
