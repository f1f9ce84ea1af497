package jiratest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
)

func (c *call) createIssue() (job, *answer) {
	fields, refusal := c.fields()
	if refusal != nil {
		return job{}, refusal
	}
	return job{c.namesIn(fields), func() *answer {
		if refusal := c.checkCreate(fields); refusal != nil {
			return refusal
		}
		created := c.create(fields)
		return ofJSON(http.StatusCreated, struct {
			ID   string `json:"id"`
			Key  string `json:"key"`
			Self string `json:"self"`
		}{created.id, created.key, c.self("issue/%s", created.id)})
	}}, nil
}

func (c *call) updateIssue() (job, *answer) {
	fields, refusal := c.fields()
	if refusal != nil {
		return job{}, refusal
	}
	id := c.path[1]
	return job{append([]string{id}, c.namesIn(fields)...), func() *answer {
		found := c.lookup(id)
		if found == nil {
			return issueNotFound()
		}
		if refusal := c.checkUpdate(found, fields); refusal != nil {
			return refusal
		}
		c.update(found.id, fields)
		return noContent()
	}}, nil
}

func (c *call) getIssue() (job, *answer) {
	id := c.path[1]
	wanted := c.query["fields"]
	if wanted == nil {
		wanted = []string{"*all"}
	}
	return job{[]string{id}, func() *answer {
		found := c.lookup(id)
		switch {
		case found == nil:
			return issueNotFound()
		case found.text("summary") == getFails:
			return failed(http.StatusInternalServerError, "Internal server error")
		}
		return ofJSON(http.StatusOK, c.bean(found, wanted))
	}}, nil
}

// fields reads the body of a create or an update, {"fields":{…}}.
func (c *call) fields() (map[string]json.RawMessage, *answer) {
	var body map[string]json.RawMessage
	if refusal := c.decode(&body); refusal != nil {
		return nil, refusal
	}
	for name := range body {
		if name != "fields" {
			return nil, c.breach(http.StatusBadRequest, "unknown member "+name)
		}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body["fields"], &fields); err != nil || fields == nil {
		return nil, c.breach(http.StatusBadRequest, "fields is no object")
	}
	return fields, nil
}

// decode reads the body, which is one JSON value.
func (c *call) decode(into any) *answer {
	dec := json.NewDecoder(bytes.NewReader(c.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return c.breach(http.StatusBadRequest, "the body is not what is expected: "+err.Error())
	}
	if dec.More() {
		return c.breach(http.StatusBadRequest, "the body is more than one JSON value")
	}
	return nil
}

// namesIn returns what may name a fault, project and type before the summary.
func (c *call) namesIn(fields map[string]json.RawMessage) []string {
	var project struct{ Key string }
	var kind struct{ ID string }
	var summary string
	// What is of another type names nothing; checkCreate tells.
	_ = json.Unmarshal(fields["project"], &project)
	_ = json.Unmarshal(fields["issuetype"], &kind)
	_ = json.Unmarshal(fields["summary"], &summary)
	return []string{project.Key, kind.ID, summary}
}

// bean is how Jira shows an issue, with the fields that are wanted.
func (s *Server) bean(i *issue, wanted []string) object {
	return object{
		"expand": "renderedFields,names,schema,operations,editmeta,changelog,versionedRepresentations",
		"id":     i.id,
		"key":    i.key,
		"self":   s.self("issue/%s", i.id),
		"fields": s.show(i).only(picks(wanted)),
	}
}

// show returns all fields of an issue, also those that nobody set.
func (s *Server) show(i *issue) object {
	fields := object{
		"description": nil,
		"labels":      []string{},
		"created":     s.date(i.created),
		"updated":     s.date(i.updated),
		"status":      object{"id": "10000", "name": "To Do"},
	}
	for id, value := range i.fields {
		fields[id] = value
	}
	kind := typeOf(i.fields["issuetype"])
	if kind == nil {
		kind = &issueTypes[0]
	}
	fields["issuetype"] = object{"id": kind.id, "name": kind.name, "subtask": kind.subtask}
	fields["project"] = object{"id": "10000", "key": s.options.ProjectKey, "name": "Checks"}
	if kind.has("priority") {
		fields["priority"] = pick(i.fields["priority"], priorities, "name", "Medium")
	}
	comments := []object{}
	for _, c := range i.comments {
		comments = append(comments, s.showComment(i, c))
	}
	fields["comment"] = object{"comments": comments, "startAt": 0, "maxResults": len(comments), "total": len(comments)}
	return fields
}

// picks reads the parameter fields: names by commas, -name for all but it.
func picks(wanted []string) func(string) bool {
	every := true
	named := map[string]bool{}
	for name := range strings.SplitSeq(strings.Join(wanted, ","), ",") {
		name = strings.TrimSpace(name)
		without, isWithout := strings.CutPrefix(name, "-")
		named[without] = !isWithout
		every = every && (isWithout || name == "")
	}
	return func(name string) bool {
		wants, is := named[name]
		if is {
			return wants
		}
		return every || named["*all"] || named["*navigable"]
	}
}
