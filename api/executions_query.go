package api

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/schema"
	"patchbay.dev/shared/wire"
)

// listQuery is the query of a list of executions. What may be named several times
// selects any of them.
type listQuery struct {
	ConnectorID *string          `json:"connector_id" maybe:"yes"`
	Types       []string         `json:"connector_type_id" default:"[]"`
	Statuses    []executionState `json:"status" default:"[]"`
	Outcomes    []outcome        `json:"outcome" default:"[]"`
	Classes     []errorClass     `json:"error_class" default:"[]"`
	Durable     *bool            `json:"durable" maybe:"yes"`
	From        *instant         `json:"from" maybe:"yes"`
	To          *instant         `json:"to" maybe:"yes"`
	Key         *string          `json:"idempotency_key" maybe:"yes"`
	Text        *string          `json:"text" maybe:"yes"`
	SortField   sortField        `json:"sort_field" default:"\"created_at\""`
	SortOrder   sortOrder        `json:"sort_order" default:"\"desc\""`
	PerPage     *pageSize        `json:"per_page" maybe:"yes"`
	Page        string           `json:"page" default:"\"\""` // next_page of the page before
}

func readListQuery(c echo.Context) (listQuery, error) {
	var q listQuery
	err := readQuery(c, &q, "connector_type_id", "status", "outcome", "error_class")
	if err == nil && q.ConnectorID != nil && *q.ConnectorID == "" {
		err = badRequest("[request query.connector_id]: it is empty; leave it out for all connectors")
	}
	return q, err
}

func (q *listQuery) filter(space string) ledger.Filter {
	f := ledger.Filter{
		Spaces: []string{space}, Types: q.Types, Durable: q.Durable, From: q.From.time(), Until: q.To.time(),
		States: texts[ledger.State](q.Statuses), Outcomes: texts[wire.Outcome](q.Outcomes), Classes: texts[ledger.Class](q.Classes),
	}
	if q.ConnectorID != nil {
		f.ConnectorID = *q.ConnectorID
	}
	if q.Key != nil {
		f.Key = *q.Key
	}
	if q.Text != nil {
		f.Text = *q.Text
	}
	return f
}

func (q *listQuery) order() ledger.Sort {
	return ledger.Sort{By: string(q.SortField), Ascending: q.SortOrder == "asc"}
}

// texts turns a list of one string type into one of another, nil for none.
func texts[To, From ~string](list []From) []To {
	var all []To
	for _, each := range list {
		all = append(all, To(each))
	}
	return all
}

// replayBody is what a replay by filter asks for.
type replayBody struct {
	ConnectorID *string         `json:"connector_id" maybe:"yes"`
	Class       *errorClass     `json:"error_class" maybe:"yes"`
	From        *instant        `json:"from" maybe:"yes"`
	To          *instant        `json:"to" maybe:"yes"`
	DryRun      bool            `json:"dry_run" default:"false"`
	Rate        json.RawMessage `json:"rate" default:"0"` // a second; schema has no numbers
}

type replayAsked struct {
	replayBody
	rate float64
}

func (s *server) readReplay(c echo.Context) (replayAsked, error) {
	var asked replayAsked
	err := s.readBody(c, &asked.replayBody)
	if err != nil {
		return asked, err
	}
	if asked.ConnectorID != nil && *asked.ConnectorID == "" { // a variable that was not set, and not all connectors
		return asked, badRequest("[request body.connector_id]: it is empty; leave it out for all connectors")
	}
	asked.rate, err = strconv.ParseFloat(string(asked.Rate), 64)
	if err != nil || asked.rate < 0 || math.IsInf(asked.rate, 0) || math.IsNaN(asked.rate) {
		return asked, badRequest("[request body.rate]: a number of executions per second is expected, 0 for all at once")
	}
	return asked, nil
}

func (r *replayBody) filter(space string) ledger.Filter {
	f := ledger.Filter{Spaces: []string{space}, States: []ledger.State{ledger.Dead}, From: r.From.time(), Until: r.To.time()}
	if r.ConnectorID != nil {
		f.ConnectorID = *r.ConnectorID
	}
	if r.Class != nil {
		f.Classes = []ledger.Class{ledger.Class(*r.Class)}
	}
	return f
}

// executionState is a state by which executions are selected.
type executionState string

// OneOf implements [schema.Enum].
func (executionState) OneOf() []string {
	return texts[string]([]ledger.State{ledger.Queued, ledger.Running, ledger.Done, ledger.Dead})
}

type outcome string

// OneOf implements [schema.Enum].
func (outcome) OneOf() []string {
	return texts[string]([]wire.Outcome{wire.OK, wire.Error, wire.Unknown, ledger.Cancelled})
}

type errorClass string

// OneOf implements [schema.Enum].
func (errorClass) OneOf() []string {
	return texts[string]([]ledger.Class{
		ledger.Refused, ledger.Exhausted, ledger.Unknown, ledger.Expired, ledger.Deleted,
		ledger.Disabled, ledger.Poison, ledger.TooLarge, ledger.Invalid,
	})
}

type sortField string

// OneOf implements [schema.Enum].
func (sortField) OneOf() []string { return []string{"created_at", "duration", "queue"} }

type sortOrder string

// OneOf implements [schema.Enum].
func (sortOrder) OneOf() []string { return []string{"asc", "desc"} }

// instant is a time as RFC 3339 writes it.
type instant string

// Check implements [schema.Checker].
func (i instant) Check() string {
	if t, err := time.Parse(time.RFC3339, string(i)); err != nil || t.IsZero() { // which stands for none
		return "a time like 2026-01-02T03:04:05Z is expected"
	}
	return ""
}

// time returns the time, zero for none.
func (i *instant) time() time.Time {
	if i == nil {
		return time.Time{}
	}
	t, _ := time.Parse(time.RFC3339, string(*i)) // it was checked
	return t
}

// maxPage is how many executions a page may hold.
const maxPage = 1000

type pageSize string

// Check implements [schema.Checker].
func (p pageSize) Check() string {
	if n, err := strconv.Atoi(string(p)); err != nil || n < 1 || n > maxPage {
		return fmt.Sprintf("a whole number from 1 to %d is expected", maxPage)
	}
	return ""
}

var (
	_ schema.Enum    = sortField("")
	_ schema.Checker = instant("")
)
