package jiratest

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf16"
)

// issueType is a type of issue of the project; the fields that it shows are in
// the table of fields.
type issueType struct {
	id, name    string
	description string
	subtask     bool
}

var issueTypes = []issueType{
	{"10006", "Task", "A task that needs to be done.", false},
	{"10007", "Sub-task", "The sub-task of the issue", true},
	{"10004", "Bug", "A problem or error.", false},
	{"10011", "Incident", "An outage.", false},
}

// field is a field on the screen of some types.
type field struct {
	id, name string
	kind     string   // of the schema
	items    string   // of the schema, for arrays
	types    []string // that show it, by name; none for all
	required []string // types that demand it; "*" for all
	allowed  []object
	check    func(c *call, value json.RawMessage) string // "" or why it is refused
}

var priorities = []object{
	{"id": "1", "name": "Highest"}, {"id": "2", "name": "High"}, {"id": "3", "name": "Medium"},
	{"id": "4", "name": "Low"}, {"id": "5", "name": "Lowest"},
}

var impacts = []object{{"id": "10020", "value": "Extensive"}, {"id": "10021", "value": "Minor"}}

var every = []string{"*"}

var fields = []field{
	{id: "summary", name: "Summary", kind: "string", required: every, check: checkSummary},
	{id: "issuetype", name: "Issue Type", kind: "issuetype", required: every, check: checkIssueType},
	{id: "project", name: "Project", kind: "project", required: every, check: checkProject},
	{id: "parent", name: "Parent", kind: "issuelink", required: []string{"Sub-task"}, check: checkParent},
	{id: "description", name: "Description", kind: "string", check: checkText},
	{id: "labels", name: "Labels", kind: "array", items: "string", check: checkLabels},
	{id: "priority", name: "Priority", kind: "priority", types: []string{"Task", "Sub-task", "Bug"},
		allowed: priorities, check: checkPriority},
	{id: "environment", name: "Environment", kind: "string", types: []string{"Bug"}, check: checkText},
	{id: "customfield_10001", name: "Runbook", kind: "string", check: checkText},
	{id: "customfield_10002", name: "Impact", kind: "option", types: []string{"Bug", "Incident"}, allowed: impacts, check: checkImpact},
	{id: "customfield_10003", name: "Cost", kind: "number", types: []string{"Task", "Incident"}, check: checkNumber},
}

// on reports whether t shows the field.
func (f field) on(t *issueType) bool { return len(f.types) == 0 || slices.Contains(f.types, t.name) }

func (f field) demandedBy(t *issueType) bool {
	return slices.Contains(f.required, "*") || slices.Contains(f.required, t.name)
}

func (t *issueType) has(id string) bool {
	return slices.ContainsFunc(fields, func(f field) bool { return f.id == id && f.on(t) })
}

// checkCreate returns why Jira refuses to create an issue, or nil.
func (c *call) checkCreate(given map[string]json.RawMessage) *answer {
	errors := map[string]string{}
	for _, id := range []string{"project", "issuetype"} {
		f := fields[slices.IndexFunc(fields, func(f field) bool { return f.id == id })]
		if why := f.check(c, given[id]); why != "" {
			errors[id] = why
		}
	}
	if len(errors) > 0 {
		return failedFields(errors) // without a screen nothing else can be told
	}
	kind := typeOf(given["issuetype"])
	for _, f := range fields {
		if absent(given[f.id]) && f.on(kind) && f.demandedBy(kind) {
			errors[f.id] = missing(f)
		}
	}
	return c.check(kind, given, errors)
}

// checkUpdate returns why Jira refuses to change an issue, or nil.
func (c *call) checkUpdate(i *issue, given map[string]json.RawMessage) *answer {
	kind := typeOf(i.fields["issuetype"])
	if changed := typeOf(given["issuetype"]); changed != nil {
		kind = changed
	}
	errors := map[string]string{}
	for _, f := range fields {
		if value, is := given[f.id]; is && absent(value) && f.demandedBy(kind) {
			errors[f.id] = missing(f)
		}
	}
	return c.check(kind, given, errors)
}

// check looks at what was given, against the screen of a type.
func (c *call) check(kind *issueType, given map[string]json.RawMessage, errors map[string]string) *answer {
	for id, value := range given {
		i := slices.IndexFunc(fields, func(f field) bool { return f.id == id && f.on(kind) })
		if i < 0 {
			errors[id] = "Field '" + id + "' cannot be set. It is not on the appropriate screen, or unknown."
			continue
		}
		if _, known := errors[id]; known || absent(value) {
			continue
		}
		if why := fields[i].check(c, value); why != "" {
			errors[id] = why
		}
	}
	if len(errors) > 0 {
		return failedFields(errors)
	}
	return nil
}

func absent(value json.RawMessage) bool { return len(value) == 0 || string(value) == "null" }

func missing(f field) string {
	switch f.id {
	case "summary":
		return noSummary
	case "parent":
		return "Issue type is a sub-task but parent issue key or id not specified."
	}
	return f.name + " is required."
}

const (
	noSummary = "You must specify a summary of the issue."
	tooLong   = "The entered text is too long. It exceeds the allowed limit of 32,767 characters."
	notString = "Operation value must be a string"

	summaryLimit = 255
	textLimit    = 32767
)

// length counts as Java does, so that a character beyond the basic plane is two.
func length(text string) int { return len(utf16.Encode([]rune(text))) }

func checkSummary(_ *call, value json.RawMessage) string {
	var summary string
	switch err := json.Unmarshal(value, &summary); {
	case err != nil:
		return notString
	case strings.TrimSpace(summary) == "":
		return noSummary
	case strings.ContainsAny(summary, "\r\n"):
		return "The summary is invalid because it contains newline characters."
	case length(summary) > summaryLimit:
		return "Summary can't exceed 255 characters."
	}
	return ""
}

func checkText(_ *call, value json.RawMessage) string {
	var text string
	switch err := json.Unmarshal(value, &text); {
	case err != nil:
		return notString
	case length(text) > textLimit:
		return tooLong
	}
	return ""
}

func checkNumber(_ *call, value json.RawMessage) string {
	var number float64
	if err := json.Unmarshal(value, &number); err != nil {
		return "Operation value must be a number"
	}
	return ""
}

func checkLabels(_ *call, value json.RawMessage) string {
	var labels []string
	if err := json.Unmarshal(value, &labels); err != nil {
		return "data was not an array"
	}
	for _, label := range labels {
		switch {
		case strings.ContainsFunc(label, isSpace):
			return "The label '" + label + "' contains spaces which is invalid."
		case label == "":
			return "The label is empty."
		case length(label) > summaryLimit:
			return "The label '" + label + "' exceeds the maximum length of 255 characters."
		}
	}
	return ""
}

func checkProject(c *call, value json.RawMessage) string {
	var project struct{ Key, ID string }
	if err := json.Unmarshal(value, &project); err != nil || absent(value) {
		return "Specify a valid project ID or key"
	}
	if !c.knows(project.Key) {
		return "valid project is required"
	}
	return ""
}

func checkIssueType(_ *call, value json.RawMessage) string {
	if absent(value) {
		return "Specify an issue type"
	}
	if typeOf(value) == nil {
		return "The issue type selected is invalid."
	}
	return ""
}

func checkParent(c *call, value json.RawMessage) string {
	var parent struct{ Key, ID string }
	if err := json.Unmarshal(value, &parent); err != nil {
		return "data was not an object"
	}
	if c.lookup(parent.Key) == nil && c.lookup(parent.ID) == nil {
		return "Could not find issue by id or key."
	}
	return ""
}

func checkPriority(_ *call, value json.RawMessage) string {
	if pick(value, priorities, "name", "") == nil {
		return "The priority selected is invalid."
	}
	return ""
}

func checkImpact(_ *call, value json.RawMessage) string {
	if pick(value, impacts, "value", "") == nil {
		return "Specify a valid value for Impact"
	}
	return ""
}

// pick returns the one among choices that value names, by its id or by another
// member; without a value the one whose member is otherwise, or nil.
func pick(value json.RawMessage, choices []object, member, otherwise string) object {
	given := map[string]string{}
	if err := json.Unmarshal(value, &given); err != nil && !absent(value) {
		return nil
	}
	if absent(value) {
		given[member] = otherwise
	}
	i := slices.IndexFunc(choices, func(choice object) bool {
		return choice["id"] == given["id"] || choice[member] == given[member]
	})
	if i < 0 {
		return nil
	}
	return choices[i]
}

// typeOf returns the type that a field issuetype names, or nil.
func typeOf(value json.RawMessage) *issueType {
	var kind struct{ ID, Name string }
	if err := json.Unmarshal(value, &kind); err != nil {
		return nil
	}
	return findType(kind.ID, kind.Name)
}

// findType finds by id or, without one, by name. A fault is the first type.
func findType(id, name string) *issueType {
	if isFault(id) {
		return &issueTypes[0]
	}
	i := slices.IndexFunc(issueTypes, func(t issueType) bool { return t.id == id || id == "" && t.name == name })
	if i < 0 {
		return nil
	}
	return &issueTypes[i]
}

// knows reports whether a project is the one of the server, or a fault.
func (s *Server) knows(project string) bool {
	return project == s.options.ProjectKey || isFault(project)
}
