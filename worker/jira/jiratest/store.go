package jiratest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kept is how many issues a server keeps that discards.
const kept = 1000

// store is what the server remembers, all of it guarded by Server.mu.
type store struct {
	clock   time.Time // goes a second further with each write
	next    int       // number of the next issue
	noted   int       // comments so far
	issues  []*issue
	refused map[string]bool // what fault-comment-fails has refused
}

// issue is one that stands; its fields are replaced, never changed.
type issue struct {
	id, key          string
	created, updated time.Time
	fields           map[string]json.RawMessage // by their ids, as they were sent
	comments         []comment
}

type comment struct {
	id      string
	text    string
	created time.Time
}

func newStore() store {
	return store{
		clock:   time.Date(2026, time.January, 5, 10, 0, 0, 123_000_000, time.UTC),
		refused: make(map[string]bool),
	}
}

// tick is the time of a write.
func (s *store) tick() time.Time {
	s.clock = s.clock.Add(time.Second)
	return s.clock
}

func (s *Server) create(fields map[string]json.RawMessage) *issue {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	at := s.tick()
	created := &issue{
		id:      strconv.Itoa(9999 + s.next),
		key:     s.options.ProjectKey + "-" + strconv.Itoa(s.next),
		created: at,
		updated: at,
		fields:  withoutNull(fields),
	}
	s.issues = append(s.issues, created)
	if s.options.Discard && len(s.issues) > kept {
		s.issues = s.issues[1:]
	}
	return created
}

func (s *Server) update(id string, fields map[string]json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.find(id); found != nil {
		merged := maps.Clone(found.fields)
		maps.Copy(merged, fields)
		found.fields, found.updated = withoutNull(merged), s.tick()
	}
}

func withoutNull(fields map[string]json.RawMessage) map[string]json.RawMessage {
	maps.DeleteFunc(fields, func(_ string, value json.RawMessage) bool { return string(value) == "null" })
	return fields
}

// comment adds a comment to an issue, if it is one that is kept.
func (s *Server) comment(id, text string) comment {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noted++
	added := comment{id: strconv.Itoa(10999 + s.noted), text: text, created: s.tick()}
	if found := s.find(id); found != nil {
		found.comments, found.updated = append(found.comments, added), added.created
	}
	return added
}

// firstRefusal reports whether what was never refused before.
func (s *Server) firstRefusal(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.refused[what]
	s.refused[what] = true
	return first
}

// lookup returns a copy of the issue with an id or a key. A name that begins
// like a fault is an issue that was always there, so that the fault has a good
// answer to spoil.
func (s *Server) lookup(idOrKey string) *issue {
	s.mu.Lock()
	defer s.mu.Unlock()
	if isFault(idOrKey) {
		summary, _ := json.Marshal(idOrKey)
		return &issue{id: idOrKey, key: idOrKey, created: s.clock, updated: s.clock, fields: map[string]json.RawMessage{
			"summary":   summary,
			"issuetype": json.RawMessage(`{"id":"` + issueTypes[0].id + `"}`),
		}}
	}
	found := s.find(idOrKey)
	if found == nil {
		return nil
	}
	clone := *found
	return &clone
}

// find wants mu held. Jira minds no case of letters in a key.
func (s *store) find(idOrKey string) *issue {
	i := slices.IndexFunc(s.issues, func(i *issue) bool { return i.id == idOrKey || strings.EqualFold(i.key, idOrKey) })
	if i < 0 {
		return nil
	}
	return s.issues[i]
}

// all returns copies of all issues in the order of their creation.
func (s *Server) all() []issue {
	s.mu.Lock()
	defer s.mu.Unlock()
	issues := make([]issue, len(s.issues))
	for i, found := range s.issues {
		issues[i] = *found
	}
	return issues
}

func (s *Server) snapshot() []Issue {
	var issues []Issue
	for _, found := range s.all() {
		fields := make(map[string]any, len(found.fields))
		for id, raw := range found.fields {
			var value any
			if err := json.Unmarshal(raw, &value); err != nil {
				panic(err) // it was decoded before
			}
			fields[id] = value
		}
		var texts []string
		for _, c := range found.comments {
			texts = append(texts, c.text)
		}
		issues = append(issues, Issue{ID: found.id, Key: found.key, Fields: fields, Comments: texts})
	}
	return issues
}

// text returns a field that is a string, "" if it is none.
func (i *issue) text(field string) string {
	var text string
	_ = json.Unmarshal(i.fields[field], &text)
	return text
}

// date formats a time as Jira does.
func (s *Server) date(at time.Time) string {
	if s.options.ZuluDates {
		return at.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return at.UTC().Format("2006-01-02T15:04:05.000-0700")
}

func (s *Server) self(format string, args ...any) string {
	return s.url + api + fmt.Sprintf(format, args...)
}
