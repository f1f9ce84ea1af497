//lint:file-ignore ST1005 the texts are Kibana's

package jira

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/schema"
)

// issue is what the connector reads of an issue.
type issue struct {
	ID     string                     `json:"id"`
	Key    string                     `json:"key"`
	Fields map[string]json.RawMessage `json:"fields"`
}

// get reads an issue with the fields that are named, all for none.
func (s *session) get(ctx context.Context, id, fields string) (*issue, error) {
	path, err := segment(id)
	if err != nil {
		return nil, err
	}
	if fields != "" {
		path += "?fields=" + fields // the rest of a long issue would only be thrown away
	}
	found := new(issue)
	err = s.do(ctx, request{
		method: http.MethodGet,
		path:   "issue/" + path,
		need:   []string{"id", "key", "fields"},
		into:   found,
	})
	return found, err
}

// incident answers getIncident: the issue with its fields beside its id and key.
func (s *session) incident(ctx context.Context, id string) (any, error) {
	found, err := s.get(ctx, id, "")
	if err != nil {
		return nil, failed("Unable to get incident with id "+id, err)
	}
	flat := map[string]any{"id": found.ID, "key": found.Key}
	for name, value := range found.Fields { // last, as in Kibana: created and updated are among them
		flat[name] = value
	}
	return flat, nil
}

// summaryOf is an issue in the answers of issue and issues.
type summaryOf struct {
	ID    string          `json:"id"`
	Key   string          `json:"key"`
	Title json.RawMessage `json:"title"` // null without one
}

func (i *issue) summary() summaryOf {
	return summaryOf{i.ID, i.Key, i.Fields["summary"]}
}

// issue answers the sub-action of this name.
func (s *session) issue(ctx context.Context, id string) (any, error) {
	found, err := s.get(ctx, id, "summary")
	if err != nil {
		return nil, failed("Unable to get issue with id "+id, err)
	}
	return found.summary(), nil
}

// fieldsOf returns the fields of an issue as Jira takes them. issueType and
// label may be empty.
func fieldsOf(project string, incident connector.JiraIncident, issueType, label string) map[string]any {
	type named struct {
		Name string `json:"name"`
	}
	type keyed struct {
		Key string `json:"key"`
	}
	fields := map[string]any{
		"summary": oneLine(incident.Summary),
		"project": keyed{project},
	}
	if text := incident.Description; text != nil && *text != "" {
		fields["description"] = *text
	}
	if priority := incident.Priority; priority != nil && *priority != "" {
		fields["priority"] = named{*priority}
	}
	if parent := incident.Parent; parent != nil && *parent != "" {
		fields["parent"] = keyed{*parent}
	}
	if incident.Labels != nil || label != "" {
		labels := []connector.JiraLabel{} // an empty list is sent: it takes the labels off
		if incident.Labels != nil {
			labels = append(labels, *incident.Labels...)
		}
		if label != "" {
			labels = append(labels, connector.JiraLabel(label))
		}
		fields["labels"] = labels
	}
	if issueType != "" {
		fields["issuetype"] = typed(issueType)
	}
	if incident.OtherFields != nil {
		other := make(map[string]any)
		for name, value := range schema.Members(*incident.OtherFields) {
			other[name] = json.RawMessage(value)
		}
		maps.Copy(fields, other) // last, as in Kibana: they may name another project
	}
	return fields
}

// typed is the value of the field issuetype.
func typed(id string) any {
	return struct {
		ID string `json:"id"`
	}{id}
}

// oneLine joins the lines of a summary, which Jira takes on one line only.
func oneLine(summary string) string {
	var lines []string
	for line := range strings.FieldsFuncSeq(summary, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, ", ")
}

// date returns a date of Jira as Kibana answers it: UTC with milliseconds.
func date(raw json.RawMessage) (string, error) {
	var value string
	if err := json.Unmarshal(raw, &value); err != nil {
		return "", errInvalidTime
	}
	for _, layout := range []string{"2006-01-02T15:04:05Z0700", time.RFC3339} { // Jira's own, and a proxy's or a stand-in's
		if t, err := time.Parse(layout, value); err == nil {
			return t.UTC().Format("2006-01-02T15:04:05.000Z"), nil
		}
	}
	return "", errInvalidTime
}

// errInvalidTime is JavaScript's text.
var errInvalidTime = errors.New("Invalid time value")

// browse returns the address of an issue for people.
func (s *session) browse(key string) string { return s.apiURL + "/browse/" + url.PathEscape(key) }
