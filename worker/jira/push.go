package jira

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"patchbay.dev/shared/connector"
)

// pushed is the answer of pushToService.
type pushed struct {
	Title      string           `json:"title"` // the key
	ID         string           `json:"id"`
	PushedDate string           `json:"pushedDate"`
	URL        string           `json:"url"`
	Comments   *[]pushedComment `json:"comments,omitempty"` // nil if none were to be added
}

// ref names an issue. The key is empty if it is the caller's name for it that is
// known, which may be an id or a key.
type ref struct{ ID, Key string }

func (r ref) String() string {
	if r.Key == "" {
		return r.ID
	}
	return r.Key + " (id " + r.ID + ")"
}

// push creates or updates an issue, reads it and adds the comments.
func (s *session) push(ctx context.Context, job jiraJob) (any, error) {
	params := job.Params.Action.(*connector.JiraPushToService).Params
	update := params.Incident.ExternalID != nil
	r := &record{}
	if job.Given {
		var leave func()
		var err error
		work := labelOf(job)
		if update {
			work += "|" + *params.Incident.ExternalID
		}
		if r, leave, err = s.ledger.enter(ctx, work); err != nil {
			return nil, failed(attempt(params.Incident), &trouble{text: s.why(ctx, err), reason: noResponse})
		}
		defer leave()
	}
	var result *pushed
	var err error
	if update {
		result, err = s.update(ctx, params.Incident)
	} else {
		result, err = s.create(ctx, job, params.Incident, r)
	}
	if err != nil || params.Comments == nil || len(*params.Comments) == 0 {
		return result, err
	}
	added, err := s.comments(ctx, result.ID, *params.Comments, r)
	if err != nil {
		said := fmt.Sprintf("The issue %s was %s; %s.", ref{result.ID, result.Title}, verb(update), told(added))
		return nil, partly(err, said, secondRun(job, update, len(added)))
	}
	result.Comments = &added
	return result, nil
}

func verb(update bool) string {
	if update {
		return "updated"
	}
	return "created"
}

func attempt(incident connector.JiraIncident) string {
	if incident.ExternalID != nil {
		return "Unable to update incident with id " + *incident.ExternalID
	}
	return "Unable to create incident"
}

func (s *session) update(ctx context.Context, incident connector.JiraIncident) (*pushed, error) {
	what, id := attempt(incident), *incident.ExternalID
	path, err := segment(id)
	if err != nil {
		return nil, failed(what, err)
	}
	issueType := ""
	if incident.IssueType != nil {
		issueType = *incident.IssueType
	}
	err = s.do(ctx, request{
		method: http.MethodPut,
		path:   "issue/" + path,
		body:   map[string]any{"fields": fieldsOf(s.project, incident, issueType, "")},
		write:  "the issue " + id + " may have been updated",
	})
	if err != nil {
		return nil, failed(what, err)
	}
	result, err := s.result(ctx, what, id, "updated")
	if err != nil {
		return nil, partly(err, "The issue "+id+" was updated.", changesNothing)
	}
	return result, nil
}

func (s *session) create(ctx context.Context, job jiraJob, incident connector.JiraIncident, r *record) (*pushed, error) {
	what := attempt(incident)
	if job.Given {
		if err := s.findCreated(ctx, what, job, r); err != nil {
			return nil, err
		}
	}
	if r.issue == (ref{}) {
		if err := s.createNew(ctx, what, job, incident, r); err != nil {
			return nil, err
		}
	}
	result, err := s.result(ctx, what, r.issue.ID, "created")
	if err != nil {
		return nil, partly(err, "The issue "+r.issue.String()+" was created.", secondRun(job, false, 0))
	}
	return result, nil
}

func (s *session) createNew(ctx context.Context, what string, job jiraJob, incident connector.JiraIncident, r *record) error {
	issueType, err := s.typeFor(ctx, incident)
	if err != nil {
		return err
	}
	label := ""
	if job.Given {
		label = labelOf(job)
	}
	fields := fieldsOf(s.project, incident, issueType, label)
	if _, ok := fields["issuetype"]; !ok {
		fields["issuetype"] = typed("") // a project without types: Jira says what is wrong
	}
	var created issue
	err = s.do(ctx, request{
		method: http.MethodPost,
		path:   "issue",
		body:   map[string]any{"fields": fields},
		write:  "the issue may have been created",
		need:   []string{"id", "key"},
		into:   &created,
	})
	if t, ok := errors.AsType[*trouble](err); ok && t.lost {
		r.lost = s.now()
	}
	if err != nil {
		return failed(what, err)
	}
	r.issue = ref{created.ID, created.Key}
	return nil
}

// typeFor returns the id of the issue type of a new issue: the project's first
// one unless the caller chose.
func (s *session) typeFor(ctx context.Context, incident connector.JiraIncident) (string, error) {
	if incident.IssueType != nil && *incident.IssueType != "" {
		return *incident.IssueType, nil
	}
	types, err := s.types(ctx)
	if err != nil || len(types) == 0 {
		return "", err
	}
	return types[0].ID, nil
}

// result reads an issue that was written and returns the answer for it.
func (s *session) result(ctx context.Context, what, id, dateField string) (*pushed, error) {
	found, err := s.get(ctx, id, "created,updated")
	if err != nil {
		return nil, failed(what, failed("Unable to get incident with id "+id, err))
	}
	pushedDate, err := date(found.Fields[dateField])
	if err != nil {
		return nil, failed(what, err)
	}
	return &pushed{Title: found.Key, ID: found.ID, PushedDate: pushedDate, URL: s.browse(found.Key)}, nil
}
