package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"patchbay.dev/api/access"
	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

// countQuery is what the numbers of Kibana's log are asked: as a query, in which lists
// are text, or as a body.
type countQuery struct {
	Start      instant  `json:"date_start"`
	End        *instant `json:"date_end" maybe:"yes"`
	Filter     string   `json:"filter" default:"\"\""`
	Namespaces []string `json:"namespaces" default:"[]"`
}

// logQuery is what the log itself is asked.
type logQuery struct {
	Start      instant         `json:"date_start"`
	End        *instant        `json:"date_end" maybe:"yes"`
	Filter     string          `json:"filter" default:"\"\""`
	PerPage    json.RawMessage `json:"per_page" default:"10"` // schema has no numbers
	Page       json.RawMessage `json:"page" default:"1"`
	Sort       []logSort       `json:"sort" default:"[{\"timestamp\":{\"order\":\"desc\"}}]"`
	Namespaces []string        `json:"namespaces" default:"[]"`
}

type logSort struct {
	Timestamp *logOrder `json:"timestamp" maybe:"yes"`
	Duration  *logOrder `json:"execution_duration" maybe:"yes"`
	Search    *logOrder `json:"total_search_duration" maybe:"yes"` // of rules; always 0 here
	Delay     *logOrder `json:"schedule_delay" maybe:"yes"`
}

type logOrder struct {
	Order sortOrder `json:"order"`
}

// logAsked is either of them, as it was understood.
type logAsked struct {
	countQuery
	selected      ledger.Filter
	sorts         []ledger.Sort
	perPage, page int
}

// spaces implements [scoped].
func (l logAsked) spaces() []string { return l.Namespaces }

// maxLogged is how deep Kibana lets one page into the log.
const maxLogged = 10_000

func (s *server) readLog(c echo.Context) (logAsked, error) {
	var q logQuery
	if err := s.readEither(c, &q); err != nil {
		return logAsked{}, err
	}
	asked, err := understand(countQuery{q.Start, q.End, q.Filter, q.Namespaces})
	if err != nil {
		return asked, err
	}
	asked.perPage, asked.page = whole(q.PerPage), whole(q.Page)
	switch {
	case asked.perPage < 1 || asked.perPage > maxPage:
		return asked, badRequest(fmt.Sprintf("[request.per_page]: a whole number from 1 to %d is expected", maxPage))
	case asked.page < 1 || asked.page > maxLogged/asked.perPage:
		return asked, badRequest(fmt.Sprintf("[request.page]: a whole number from 1 is expected, and no more than %d entries in all", maxLogged))
	}
	for _, each := range q.Sort {
		for _, by := range []struct {
			order *logOrder
			name  string
		}{{each.Timestamp, "created_at"}, {each.Duration, "duration"}, {each.Delay, "queue"}} {
			if by.order != nil {
				asked.sorts = append(asked.sorts, ledger.Sort{By: by.name, Ascending: by.order.Order == "asc"})
			}
		}
	}
	return asked, nil
}

func (s *server) readCounts(c echo.Context) (logAsked, error) {
	var q countQuery
	if err := s.readEither(c, &q); err != nil {
		return logAsked{}, err
	}
	return understand(q)
}

// readEither decodes what was asked: older clients ask with GET, newer ones with POST.
func (s *server) readEither(c echo.Context, into any) error {
	if c.Request().Method == http.MethodPost {
		return s.readBody(c, into)
	}
	return readQuery(c, into, "namespaces")
}

func understand(q countQuery) (logAsked, error) {
	for _, each := range q.Namespaces {
		if !access.IsSpace(each) {
			return logAsked{}, badRequest("[request.namespaces]: " + access.SpaceRule)
		}
	}
	f, err := parseLogFilter(q.Filter)
	return logAsked{countQuery: q, selected: f}, err
}

// whole reads a whole number, also one in text; 0 for anything else.
func whole(raw json.RawMessage) int {
	n, _ := strconv.Atoi(strings.Trim(string(raw), `"`))
	return n
}

var (
	logFilterAnd  = regexp.MustCompile(`(?i)\s+and\s+`)
	logFilterTerm = regexp.MustCompile(`^\(?([A-Za-z_.]+)\s*:\s*(.+?)\)?$`)
	logFilterOr   = regexp.MustCompile(`(?i)\s+or\s+`)
)

// parseLogFilter reads what Kibana's pages send of its query language: the outcome, the
// id of a connector, and text in messages, with "and" between them; and text alone.
func parseLogFilter(text string) (ledger.Filter, error) {
	var f ledger.Filter
	if !strings.Contains(text, ":") {
		f.Text = strings.TrimSpace(text)
		return f, nil
	}
	for _, part := range logFilterAnd.Split(strings.TrimSpace(text), -1) {
		term := logFilterTerm.FindStringSubmatch(part)
		if term == nil {
			return f, unknownFilter(part)
		}
		value := strings.Trim(term[2], `"`)
		switch term[1] {
		case "message", "error.message":
			// The pages ask for the same text in both.
			f.Text = strings.ReplaceAll(strings.Trim(logFilterOr.Split(term[2], 2)[0], `"*`), `\`, "")
		case "kibana.saved_objects.id":
			if !connectorID.MatchString(value) || f.ConnectorID != "" { // several, or a pattern
				return f, unknownFilter(part)
			}
			f.ConnectorID = value
		case "event.outcome", "kibana.alerting.outcome":
			for _, word := range logFilterOr.Split(strings.Trim(term[2], "()"), -1) {
				switch strings.Trim(word, `" `) {
				case "success":
					f.Outcomes = append(f.Outcomes, wire.OK)
				case "failure":
					f.Outcomes = append(f.Outcomes, wire.Error)
				case "unknown":
					f.Outcomes = append(f.Outcomes, wire.Unknown, ledger.Cancelled)
				default:
					return f, unknownFilter(part)
				}
			}
		default:
			return f, unknownFilter(part)
		}
	}
	return f, nil
}

func unknownFilter(part string) *problem {
	return badRequest(fmt.Sprintf("[request.filter]: %q is not understood; event.outcome, kibana.saved_objects.id and message are", shorten(part)))
}
