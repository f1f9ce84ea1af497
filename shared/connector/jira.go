package connector

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"patchbay.dev/shared/schema"
)

// Jira creates and updates issues in Jira Cloud and Data Center, and reads what
// is needed to fill them in. Source: Kibana 8.19 stack connector ".jira".
var Jira = Type[JiraConfig, JiraSecrets, JiraParams]{
	About: About{
		ID:       ".jira",
		Name:     "Jira",
		License:  "gold",
		Features: []string{"alerting", "cases", "uptime", "siem"},
	},
	CheckConfig: func(c JiraConfig, hosts Hosts) error {
		// Kibana takes any text here; a password in it would be shown with the config.
		if u, err := url.Parse(c.APIURL); err == nil && u.User != nil || err != nil && strings.Contains(c.APIURL, "@") {
			return errors.New("error configuring connector action: apiUrl must not hold credentials, they belong into secrets")
		}
		if err := hosts.Check(c.APIURL); err != nil {
			return fmt.Errorf("error configuring connector action: %w", err)
		}
		return nil
	},
	Repeat: jiraPolicy,
}

// jiraPolicy takes for safe what reads, what creates an issue, since that carries
// a label by which it and its comments are found again, and what sets the fields
// of an issue, since they have the same values after a second time. A comment on an
// issue that was there before is not: an equal one may be someone else's, so that
// another worker adds it again.
func jiraPolicy(p JiraParams) Policy {
	push, ok := p.Action.(*JiraPushToService)
	if !ok {
		return Policy{Safe: true}
	}
	if push.Params.Incident.ExternalID == nil { // Jira's search trails behind its writes
		return Policy{Safe: true, Settle: 30 * time.Second}
	}
	if push.Params.Comments == nil {
		return Policy{Safe: true}
	}
	added := func(c JiraComment) bool { return c.Comment != "" } // empty ones are left out
	return Policy{Safe: !slices.ContainsFunc(*push.Params.Comments, added)}
}

// JiraConfig is the config of a ".jira" connector.
type JiraConfig struct {
	APIURL     string `json:"apiUrl"`
	ProjectKey string `json:"projectKey"`
}

// JiraSecrets are the secrets of a ".jira" connector. They are sent as HTTP
// Basic; for Data Center they are a user and a password.
type JiraSecrets struct {
	Email    string `json:"email"`
	APIToken string `json:"apiToken"`
}

// JiraParams are the params of one ".jira" execution: Action is a pointer to one
// of the structs that Variants lists.
type JiraParams struct{ Action any }

// Variants implements [schema.Union], in Kibana's order.
func (JiraParams) Variants() []any {
	return []any{
		new(JiraGetFields), new(JiraGetIncident), new(JiraHandshake), new(JiraPushToService),
		new(JiraIssueTypes), new(JiraFieldsByIssueType), new(JiraIssues), new(JiraIssue),
	}
}

// JiraGetFields asks for the fields that all issue types of the project have.
type JiraGetFields struct {
	SubAction string `json:"subAction" equals:"getFields"`
	Params    None   `json:"subActionParams"`
}

// JiraGetIncident asks for an issue with all its fields.
type JiraGetIncident struct {
	SubAction string `json:"subAction" equals:"getIncident"`
	Params    struct {
		ExternalID string `json:"externalId"` // id or key of the issue
	} `json:"subActionParams"`
}

// JiraHandshake is valid in Kibana and then refused.
type JiraHandshake struct {
	SubAction string `json:"subAction" equals:"handshake"`
	Params    struct {
		ExternalID string `json:"externalId"`
	} `json:"subActionParams"`
}

// JiraPushToService creates an issue or, with an external id, updates one, and
// comments on it.
type JiraPushToService struct {
	SubAction string `json:"subAction" equals:"pushToService"`
	Params    struct {
		Incident JiraIncident   `json:"incident"`
		Comments *[]JiraComment `json:"comments"`
	} `json:"subActionParams"`
}

// JiraIncident is what an issue is made of.
type JiraIncident struct {
	Summary     string           `json:"summary"`
	Description *string          `json:"description"`
	ExternalID  *string          `json:"externalId"` // id or key of the issue to update; nil to create one
	IssueType   *string          `json:"issueType"`  // id
	Priority    *string          `json:"priority"`   // name
	Labels      *[]JiraLabel     `json:"labels"`
	Parent      *string          `json:"parent"` // key
	OtherFields *JiraOtherFields `json:"otherFields"`
}

// JiraComment is a comment to add; CommentID is the caller's own id for it.
type JiraComment struct {
	Comment   string `json:"comment"`
	CommentID string `json:"commentId"`
}

// JiraIssueTypes asks for the issue types of the project.
type JiraIssueTypes struct {
	SubAction string `json:"subAction" equals:"issueTypes"`
	Params    None   `json:"subActionParams"`
}

// JiraFieldsByIssueType asks for the fields of an issue type.
type JiraFieldsByIssueType struct {
	SubAction string `json:"subAction" equals:"fieldsByIssueType"`
	Params    struct {
		ID string `json:"id"` // of the issue type
	} `json:"subActionParams"`
}

// JiraIssues asks for the issues of the project whose summary has the words of
// Title.
type JiraIssues struct {
	SubAction string `json:"subAction" equals:"issues"`
	Params    struct {
		Title string `json:"title"`
	} `json:"subActionParams"`
}

// JiraIssue asks for the title of an issue.
type JiraIssue struct {
	SubAction string `json:"subAction" equals:"issue"`
	Params    struct {
		ID string `json:"id"` // id or key
	} `json:"subActionParams"`
}

// JiraLabel is a label, which Jira takes without white space only.
type JiraLabel string

// Check implements [schema.Checker].
func (l JiraLabel) Check() string {
	if strings.ContainsFunc(string(l), unicode.IsSpace) {
		return "The label " + string(l) + " cannot contain spaces"
	}
	return ""
}

// JiraOtherFields are fields of an issue that JiraIncident does not name, by
// their ids in Jira.
type JiraOtherFields schema.Record

// maxOtherFields is Kibana's limit.
const maxOtherFields = 20

// Check implements [schema.Checker].
func (o JiraOtherFields) Check() string {
	n := 0
	for key := range schema.Members(o) {
		if n++; n > maxOtherFields {
			return "A maximum of 20 fields in otherFields can be defined at a time."
		}
		switch key {
		case "summary", "description", "externalId", "issueType", "priority", "labels", "parent", "otherFields":
			return "The following properties cannot be defined inside otherFields: " + key + "."
		}
	}
	return ""
}
