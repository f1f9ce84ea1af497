//lint:file-ignore ST1005 the texts are Jira's

package jiratest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// searching is a search as either face takes it.
type searching struct {
	JQL        string   `json:"jql"`
	Fields     []string `json:"fields"`
	StartAt    int      `json:"startAt"`       // Data Center
	PageToken  string   `json:"nextPageToken"` // Cloud
	MaxResults *int     `json:"maxResults"`
}

func (c *call) search() (job, *answer) {
	asked, refusal := c.searching()
	if refusal != nil {
		return job{}, refusal
	}
	size := c.options.PageSize
	if asked.MaxResults != nil {
		size = min(size, *asked.MaxResults)
	}
	start := asked.StartAt
	if asked.PageToken != "" {
		var ok bool
		if start, ok = fromToken(asked.PageToken, asked.JQL); !ok {
			return job{}, c.breach(http.StatusBadRequest, "The provided next page token is invalid or expired.")
		}
	}
	if start < 0 || size < 1 {
		return job{}, c.breach(http.StatusBadRequest, "startAt or maxResults is no number that counts")
	}
	q, err := c.understand(asked.JQL)
	if err != nil {
		return job{}, c.breach(http.StatusBadRequest, err.Error())
	}
	var names []string
	for _, clause := range q.clauses {
		names = append(names, plain(clause.value))
	}
	return job{names, func() *answer {
		matching, refusal := c.match(q)
		if refusal != nil {
			return refusal
		}
		return c.found(asked, matching, start, size)
	}}, nil
}

// searching reads the parameters of a GET or the body of a POST.
func (c *call) searching() (searching, *answer) {
	var asked searching
	if c.request.Method == http.MethodPost {
		allowed := []string{"jql", "fields", "maxResults", "nextPageToken"}
		if c.options.DataCenter {
			allowed[3] = "startAt"
		}
		var members map[string]json.RawMessage
		if refusal := c.decode(&members); refusal != nil {
			return asked, refusal
		}
		for name := range members {
			if !slices.Contains(allowed, name) {
				return asked, c.breach(http.StatusBadRequest, "unknown member "+name)
			}
		}
		return asked, c.decode(&asked)
	}
	start, err := c.number("startAt", 0)
	size, sizeErr := c.number("maxResults", c.options.PageSize)
	if err := errors.Join(err, sizeErr); err != nil {
		return asked, c.breach(http.StatusBadRequest, err.Error())
	}
	asked = searching{JQL: c.query.Get("jql"), MaxResults: &size}
	if c.options.DataCenter { // neither knows the other's way to page
		asked.StartAt = start
	} else {
		asked.PageToken = c.query.Get("nextPageToken")
	}
	for _, names := range c.query["fields"] {
		asked.Fields = append(asked.Fields, strings.Split(names, ",")...)
	}
	return asked, nil
}

// understand parses JQL and holds it against the fields that a connector needs.
func (c *call) understand(text string) (query, error) {
	if strings.TrimSpace(text) == "" {
		return query{}, errors.New("Unbounded JQL queries are not allowed here. Please add a search restriction to your query.")
	}
	q, err := parseJQL(text)
	if err != nil {
		return query{}, err
	}
	operators := map[string]string{"project": "=", "labels": "=", "summary": "~"}
	for _, clause := range q.clauses {
		switch known, is := operators[clause.field]; {
		case !is:
			return query{}, fmt.Errorf("Field '%s' does not exist or you do not have permission to view it.", clause.field)
		case known != clause.operator:
			return query{}, fmt.Errorf("The operator '%s' is not supported by the '%s' field.", clause.operator, clause.field)
		}
		if clause.field != "summary" {
			continue
		}
		if _, err := terms(clause.value); err != nil {
			return query{}, fmt.Errorf("Unable to parse the text '%s' for field 'summary': %w", clause.value, err)
		}
	}
	for _, by := range q.order {
		if compare[by.field] == nil {
			return query{}, fmt.Errorf("Field '%s' does not exist or you do not have permission to view it.", by.field)
		}
	}
	return q, nil
}

var compare = map[string]func(a, b issue) int{
	"created": func(a, b issue) int { return a.created.Compare(b.created) },
	"updated": func(a, b issue) int { return a.updated.Compare(b.updated) },
	"key":     func(a, b issue) int { return a.created.Compare(b.created) }, // no two are created at once
	"id":      func(a, b issue) int { return a.created.Compare(b.created) },
	"summary": func(a, b issue) int { return cmp.Compare(a.text("summary"), b.text("summary")) },
}

// match returns the issues of a query, the newest first unless it says otherwise.
func (c *call) match(q query) ([]issue, *answer) {
	matching := c.all()
	slices.Reverse(matching)
	for _, clause := range q.clauses {
		var holds func(issue) bool
		switch clause.field {
		case "project":
			if !c.knows(clause.value) && !strings.EqualFold(clause.value, c.options.ProjectKey) {
				return nil, failed(http.StatusBadRequest, "The value '"+clause.value+"' does not exist for the field 'project'.")
			}
			continue
		case "labels":
			holds = func(i issue) bool { return slices.Contains(i.labels(), clause.value) }
		case "summary":
			if clause.value == "" {
				return nil, failed(http.StatusBadRequest, "The field 'summary' does not support searching for an empty string.")
			}
			wanted, err := terms(clause.value)
			if err != nil {
				panic(err) // understand looked
			}
			holds = func(i issue) bool { return contains(i.text("summary"), wanted) }
		}
		matching = slices.DeleteFunc(matching, func(i issue) bool { return !holds(i) })
	}
	slices.SortStableFunc(matching, func(a, b issue) int {
		for _, by := range q.order {
			order := compare[by.field](a, b)
			if by.descending {
				order = -order
			}
			if order != 0 {
				return order
			}
		}
		return 0
	})
	return matching, nil
}

func (i *issue) labels() []string {
	var labels []string
	_ = json.Unmarshal(i.fields["labels"], &labels) // none if there are none
	return labels
}

// found is a page of issues. Cloud tells no more than ids unless fields are asked for.
func (c *call) found(asked searching, matching []issue, start, size int) *answer {
	shown := []object{}
	for _, i := range page(matching, start, size) {
		switch {
		case c.options.DataCenter && asked.Fields == nil:
			shown = append(shown, c.bean(&i, []string{"*navigable"}))
		case asked.Fields == nil:
			shown = append(shown, object{"id": i.id})
		default:
			shown = append(shown, c.bean(&i, asked.Fields))
		}
	}
	if c.options.DataCenter {
		return ofJSON(http.StatusOK, object{
			"expand": "schema,names", "startAt": start, "maxResults": size, "total": len(matching), "issues": shown,
		})
	}
	body := object{"issues": shown, "isLast": true}
	if end := start + len(shown); end < len(matching) {
		body["isLast"], body["nextPageToken"] = false, toToken(end, asked.JQL)
	}
	return ofJSON(http.StatusOK, body)
}

// A token belongs to its query.
func toToken(start int, jql string) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "##%d##%s", start, jql))
}

func fromToken(token, jql string) (start int, ok bool) {
	decoded, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return 0, false
	}
	if _, err := fmt.Sscanf(string(decoded), "##%d##", &start); err != nil {
		return 0, false
	}
	return start, toToken(start, jql) == token
}

func (c *call) removedSearch() (job, *answer) {
	return job{nil, func() *answer {
		return failed(http.StatusGone, "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API. "+
			"A full migration guideline is available at https://developer.atlassian.com/changelog/#CHANGE-2046")
	}}, nil
}

func (c *call) missingSearch() (job, *answer) { return job{nil, c.noSuchResource}, nil }
