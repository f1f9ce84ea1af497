package jiratest

import (
	"encoding/json"
	"net/http"
	"strings"
)

func (c *call) addComment() (job, *answer) {
	var body map[string]json.RawMessage
	if refusal := c.decode(&body); refusal != nil {
		return job{}, refusal
	}
	for name := range body {
		if name != "body" {
			return job{}, c.breach(http.StatusBadRequest, "unknown member "+name)
		}
	}
	var text string
	if err := json.Unmarshal(body["body"], &text); err != nil {
		return job{}, c.breach(http.StatusBadRequest, "body is no string")
	}
	id := c.path[1]
	return job{[]string{id, text}, func() *answer {
		found := c.lookup(id)
		switch {
		case found == nil:
			return issueNotFound()
		case strings.TrimSpace(text) == "":
			return failedFields(map[string]string{"comment": "Comment body can not be empty!"})
		case length(text) > textLimit:
			return failedFields(map[string]string{"comment": tooLong})
		case found.text("summary") == commentFails && c.firstRefusal(found.id),
			text == commentFails && c.firstRefusal(found.id+" "+text):
			return failedFields(map[string]string{"comment": "You do not have permission to comment on this issue."})
		}
		return ofJSON(http.StatusCreated, c.showComment(found, c.comment(found.id, text)))
	}}, nil
}

func (c *call) listComments() (job, *answer) {
	start, size, refusal := c.paging()
	if refusal != nil {
		return job{}, refusal
	}
	id := c.path[1]
	return job{[]string{id}, func() *answer {
		found := c.lookup(id)
		if found == nil {
			return issueNotFound()
		}
		comments := []object{}
		for _, one := range page(found.comments, start, size) {
			comments = append(comments, c.showComment(found, one))
		}
		return ofJSON(http.StatusOK, object{
			"startAt": start, "maxResults": size, "total": len(found.comments), "comments": comments,
		})
	}}, nil
}

func (s *Server) showComment(i *issue, c comment) object {
	return object{
		"self":         s.self("issue/%s/comment/%s", i.id, c.id),
		"id":           c.id,
		"body":         c.text,
		"author":       s.user(),
		"updateAuthor": s.user(),
		"created":      s.date(c.created),
		"updated":      s.date(c.created),
	}
}
