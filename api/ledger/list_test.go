package ledger

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
)

// history is a ledger with executions of all kinds.
func history(t *testing.T) *bundle {
	t.Helper()
	l := setup(t, Options{SealParams: mark})
	for i := range 10 {
		r := record(fmt.Sprint("log-", i))
		r.Attempt.StartedAt = epoch.Add(time.Duration(i/2) * time.Minute) // in pairs of the same time
		r.Attempt.Queue, r.Attempt.Run = time.Duration(i%3)*time.Second, time.Duration(i%4)*time.Second
		if i%2 == 0 {
			r.Attempt.Outcome, r.Attempt.Failure = wire.OK, nil
		}
		if i == 7 {
			r.Space, r.Type, r.ConnectorName = "other", ".jira", "50% of_it"
		}
		l.Log(r)
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.pass(time.Hour)
	l.mustAccept(t, example("queued"))
	l.kill(t, example("dead"))
	retried := l.mustAccept(t, example("retried"))[0]
	l.mustClaim(t, retried.Seq)
	l.mustEnd(t, failed(retried.Seq, 1, Queued))
	l.pass(time.Minute)
	l.mustClaim(t, retried.Seq)
	return l
}

func ids(executions []Execution) (ids []string) {
	for _, e := range executions {
		ids = append(ids, e.ID)
	}
	return ids
}

func TestPagesHaveEveryExecutionOnce(t *testing.T) {
	t.Parallel()
	l := history(t)
	for _, by := range []string{"created_at", "duration", "queue"} {
		for _, ascending := range []bool{true, false} {
			s := Sort{by, ascending}
			whole, err := l.List(t.Context(), Filter{}, s, 100, "")
			if err != nil || len(whole.Executions) != 13 || whole.Next != "" {
				t.Fatalf("%v: %d executions, next %q, %v", s, len(whole.Executions), whole.Next, err)
			}
			if !slices.IsSortedFunc(whole.Executions, func(a, b Execution) int {
				d := map[string]int{
					"created_at": a.CreatedAt.Compare(b.CreatedAt),
					"duration":   int(a.Attempt.Dispatch + a.Attempt.Run - b.Attempt.Dispatch - b.Attempt.Run),
					"queue":      int(a.Attempt.Queue - b.Attempt.Queue),
				}[by]
				if !ascending {
					return -d
				}
				return d
			}) {
				t.Errorf("%v: %v", s, ids(whole.Executions))
			}
			var paged []string
			for token, pages := "", 0; ; pages++ {
				page, err := l.List(t.Context(), Filter{}, s, 4, token)
				if err != nil || len(page.Executions) > 4 || pages > 3 {
					t.Fatalf("%v: page %d: %d executions, %v", s, pages, len(page.Executions), err)
				}
				paged = append(paged, ids(page.Executions)...)
				if token = page.Next; token == "" {
					break
				}
			}
			if diff := cmp.Diff(ids(whole.Executions), paged); diff != "" {
				t.Errorf("%v (-whole +paged):\n%s", s, diff)
			}
		}
	}
}

func TestLastPageHasNoNext(t *testing.T) {
	t.Parallel()
	l := history(t)
	page, err := l.List(t.Context(), Filter{}, Sort{By: "created_at"}, 13, "")
	if err != nil || len(page.Executions) != 13 || page.Next != "" {
		t.Errorf("%d executions, next %q, %v", len(page.Executions), page.Next, err)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	l := history(t)
	yes, no := true, false
	durable := []string{"queued", "dead", "retried"}
	for name, tt := range map[string]struct {
		filter Filter
		want   []string
	}{
		"space":          {Filter{Spaces: []string{"other"}}, []string{"log-7"}},
		"no space":       {Filter{Spaces: []string{}}, nil},
		"spaces":         {Filter{Spaces: []string{"other", "x"}}, []string{"log-7"}},
		"type":           {Filter{Types: []string{".jira", ".x"}}, []string{"log-7"}},
		"connector":      {Filter{ConnectorID: "nobody"}, nil},
		"durable":        {Filter{Durable: &yes}, durable},
		"not durable":    {Filter{Durable: &no, Outcomes: []wire.Outcome{wire.OK}}, []string{"log-0", "log-2", "log-4", "log-6", "log-8"}},
		"queued":         {Filter{States: []State{Queued}}, []string{"queued"}},
		"dead":           {Filter{States: []State{Dead}}, []string{"dead"}},
		"not ended":      {Filter{States: []State{Queued, Running}}, []string{"queued", "retried"}},
		"class":          {Filter{Classes: []Class{Exhausted, Poison}}, []string{"dead"}},
		"from":           {Filter{From: epoch.Add(time.Hour)}, durable},
		"until":          {Filter{Until: epoch, Types: []string{".index"}}, []string{"log-1"}}, // that waited a second
		"from and until": {Filter{From: epoch, Until: epoch.Add(time.Nanosecond)}, []string{"log-0"}},
		"text in id":     {Filter{Text: "LOG-3"}, []string{"log-3"}},
		"percent":        {Filter{Text: "0% o"}, []string{"log-7"}},
		"percent alone":  {Filter{Text: "%"}, []string{"log-7"}},
		"underscore":     {Filter{Text: "f_i"}, []string{"log-7"}},
		"no wildcard":    {Filter{Text: "l_g"}, nil},
		"backslash":      {Filter{Text: `\`}, nil},
		"quotes":         {Filter{Text: `"IN" the 'SHOP'; --`, Outcomes: []wire.Outcome{wire.OK}}, []string{"log-0", "log-2", "log-4", "log-6", "log-8"}},
		"umlaut":         {Filter{Text: "ärger", States: []State{Done}, Until: epoch.Add(time.Second)}, []string{"log-0", "log-1"}},
		"message":        {Filter{Text: "日本 'NO'", Until: epoch.Add(time.Second)}, []string{"log-1"}},
		"service":        {Filter{Text: "503", Durable: &yes}, []string{"dead"}},
	} {
		page, err := l.List(t.Context(), tt.filter, Sort{By: "created_at", Ascending: true}, 100, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got := ids(page.Executions)
		slices.Sort(got)
		slices.Sort(tt.want)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTokenOfAnotherListIsRefused(t *testing.T) {
	t.Parallel()
	l := history(t)
	newest := Sort{By: "created_at"}
	page, err := l.List(t.Context(), Filter{}, newest, 1, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		sort  Sort
		token string
	}{
		{Sort{By: "created_at", Ascending: true}, page.Next}, {Sort{By: "queue"}, page.Next},
		{newest, "x"}, {newest, page.Next + "A"}, {newest, page.Next[1:]}, {newest, "%"}, {newest, "bnVsbA"},
	} {
		if _, err := l.List(t.Context(), Filter{}, tt.sort, 1, tt.token); !errors.Is(err, ErrToken) {
			t.Errorf("%v %q: error %v, want %v", tt.sort, tt.token, err, ErrToken)
		}
	}
	if _, err := l.List(t.Context(), Filter{}, Sort{By: "id; DROP TABLE execution"}, 1, ""); !errors.Is(err, errSort) {
		t.Errorf("unknown order: %v", err)
	}
}

func TestListsUseTheirIndexes(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	for name, f := range map[string]Filter{
		"execution_space": {Spaces: []string{"default"}},
		"execution_dead":  {Spaces: []string{"default"}, States: []State{Dead}},
	} {
		where := f.where("e")
		var plan []struct {
			ID, Parent, Notused int
			Detail              string
		}
		query := `EXPLAIN QUERY PLAN SELECT * FROM ` + f.from() + ` WHERE ` + where.String() + ` ORDER BY e.created_at DESC, e.seq DESC LIMIT 10`
		if err := l.read.SelectContext(t.Context(), &plan, query, where.args...); err != nil {
			t.Fatal(err)
		}
		if len(plan) != 1 || !slices.Contains([]string{
			"SCAN e USING INDEX " + name, "SEARCH e USING INDEX " + name + " (space=?)",
		}, plan[0].Detail) {
			t.Errorf("%s: %+v", name, plan)
		}
	}
}

func TestEntriesAreAttemptsThatEnded(t *testing.T) {
	t.Parallel()
	l := history(t)
	var got []string
	for page := 1; page <= 4; page++ {
		entries, total, err := l.Entries(t.Context(), Filter{}, []Sort{{By: "created_at"}}, 4, page)
		if err != nil || total != 12 {
			t.Fatalf("page %d: total %d, %v", page, total, err)
		}
		for _, e := range entries {
			got = append(got, fmt.Sprint(e.ID, " ", e.Number, " ", e.Last, " ", e.Attempt.Outcome))
		}
	}
	want := []string{
		"retried 1 false error", "dead 1 true error", "log-9 1 true error", "log-8 1 true ok", "log-6 1 true ok", "log-7 1 true error",
		"log-4 1 true ok", "log-5 1 true error", "log-3 1 true error", "log-2 1 true ok", "log-0 1 true ok", "log-1 1 true error",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	entries, total, err := l.Entries(t.Context(), Filter{Outcomes: []wire.Outcome{wire.Error}, Durable: new(true)},
		[]Sort{{By: "queue", Ascending: true}, {By: "duration"}}, 10, 1)
	if err != nil || total != 2 || entries[0].ID != "retried" || entries[0].State != Running {
		t.Errorf("%d, %+v, %v", total, entries, err)
	}
	if _, _, err := l.Entries(t.Context(), Filter{Spaces: []string{}}, nil, 10, 1); err != nil {
		t.Error(err)
	}
}

func TestOutcomesAreCounted(t *testing.T) {
	t.Parallel()
	l := history(t)
	for _, tt := range []struct {
		filter Filter
		want   map[wire.Outcome]int
	}{
		{Filter{}, map[wire.Outcome]int{wire.OK: 5, wire.Error: 7}},
		{Filter{Spaces: []string{"other"}}, map[wire.Outcome]int{wire.Error: 1}},
		{Filter{Durable: new(true)}, map[wire.Outcome]int{wire.Error: 2}},
	} {
		got, err := l.Outcomes(t.Context(), tt.filter)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("outcomes (-want +got):\n%s%v", diff, err)
		}
	}
}
