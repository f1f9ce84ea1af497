package jira

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"patchbay.dev/shared/connector"
)

type pushedComment struct {
	CommentID  string `json:"commentId"` // the caller's
	PushedDate string `json:"pushedDate"`
}

// comments adds the comments that the issue does not have yet, one after
// another, and returns those that it has now.
func (s *session) comments(ctx context.Context, id string, all []connector.JiraComment, r *record) ([]pushedComment, error) {
	added := []pushedComment{}
	path, err := segment(id)
	if err != nil {
		return added, failed("Unable to create comment at incident with id "+id, err)
	}
	there := make(map[string][]string)
	if r.again {
		if there, err = s.commentDates(ctx, path); err != nil {
			return added, failed("Unable to create comment at incident with id "+id, err)
		}
	}
	for n, c := range all {
		if c.Comment == "" {
			continue
		}
		when, known := r.comments[noteOf(n, c.Comment)]
		if dates := there[squeeze(c.Comment)]; len(dates) > 0 {
			there[squeeze(c.Comment)] = dates[1:]
			if !known {
				when, known = dates[0], true
			}
		}
		if !known {
			if when, err = s.postComment(ctx, id, path, c); err != nil {
				return added, err
			}
			if r.comments != nil {
				r.comments[noteOf(n, c.Comment)] = when
			}
		}
		added = append(added, pushedComment{c.CommentID, when})
	}
	return added, nil
}

// commentDates returns the dates of the comments of an issue by their text.
func (s *session) commentDates(ctx context.Context, path string) (map[string][]string, error) {
	dates := make(map[string][]string)
	list, err := s.list(ctx, "issue/"+path+"/comment", "comments")
	for _, raw := range list {
		var c struct {
			Body    string          `json:"body"`
			Created json.RawMessage `json:"created"`
		}
		if json.Unmarshal(raw, &c) != nil {
			continue // a body that is no text is none of ours
		}
		if when, err := date(c.Created); err == nil {
			dates[squeeze(c.Body)] = append(dates[squeeze(c.Body)], when)
		}
	}
	return dates, err
}

// squeeze makes texts equal that differ in white space only: Jira changes line
// ends and what stands at the end of lines.
func squeeze(text string) string { return strings.Join(strings.Fields(text), " ") }

// postComment adds one comment and returns its date.
func (s *session) postComment(ctx context.Context, id, path string, c connector.JiraComment) (string, error) {
	what, may := "Unable to create comment at incident with id "+id, "the comment "+c.CommentID+" may have been added"
	var created struct {
		Created json.RawMessage `json:"created"`
	}
	err := s.do(ctx, request{
		method: http.MethodPost,
		path:   "issue/" + path + "/comment",
		body:   map[string]string{"body": c.Comment},
		write:  may,
		need:   []string{"id", "created"},
		into:   &created,
	})
	if err != nil {
		return "", failed(what, err)
	}
	when, err := date(created.Created)
	if err != nil {
		return "", failed(what, &trouble{text: err.Error(), reason: noResponse, lost: true, write: may})
	}
	return when, nil
}

func told(added []pushedComment) string {
	if len(added) == 0 {
		return "no comment was added"
	}
	ids := make([]string, len(added))
	for i := range added {
		ids[i] = added[i].CommentID
	}
	return "these comments were added: " + strings.Join(ids, ", ")
}
