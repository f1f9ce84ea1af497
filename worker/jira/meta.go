package jira

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// Bounds of a list that is read to its end.
const (
	maxPages   = 50
	maxEntries = 10_000
	pageSize   = maxEntries / maxPages // that we ask for; Jira may give less
)

// errTooMany is the error of a list that goes on behind the bounds.
var errTooMany = refusal(fmt.Sprintf("Jira has more than %d pages or %d entries of it", maxPages, maxEntries))

// list reads all pages of a list that is counted by startAt. Cloud calls it by
// its name, Data Center "values". Kibana reads the first page alone.
func (s *session) list(ctx context.Context, path, name string) ([]json.RawMessage, error) {
	var all []json.RawMessage
	for range maxPages {
		var page map[string]json.RawMessage
		err := s.do(ctx, request{
			method: http.MethodGet,
			path:   fmt.Sprintf("%s?startAt=%d&maxResults=%d", path, len(all), pageSize),
			into:   &page,
		})
		if err != nil {
			return nil, err
		}
		raw, ok := page[name]
		if !ok {
			raw, ok = page["values"]
		}
		if !ok {
			return nil, missing([]string{name, "values"})
		}
		var entries []json.RawMessage
		if err := json.Unmarshal(raw, &entries); err != nil {
			return nil, fmt.Errorf("%s of the response: %w", name, err)
		}
		if len(all) > 0 && len(entries) > 0 && bytes.Equal(entries[0], all[0]) {
			return all, nil // it does not know startAt: this is the first page again
		}
		all = append(all, entries...)
		if len(all) > maxEntries {
			return nil, errTooMany
		}
		if len(entries) == 0 || isLast(page, len(all)) {
			return all, nil
		}
	}
	return nil, errTooMany
}

// isLast tells whether a page ends its list of which n entries are read. A page
// that does not say so is the only one.
func isLast(page map[string]json.RawMessage, n int) bool {
	var last bool
	if json.Unmarshal(page["isLast"], &last) == nil {
		return last
	}
	var total int
	return json.Unmarshal(page["total"], &total) != nil || n >= total
}

// issueType is an element of the answer of issueTypes.
type issueType struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// issueTypes answers the sub-action of this name.
func (s *session) issueTypes(ctx context.Context) (any, error) {
	types, err := s.types(ctx)
	if err != nil {
		return nil, err
	}
	return types, nil
}

func (s *session) types(ctx context.Context) ([]issueType, error) {
	const what = "Unable to get issue types"
	project, err := segment(s.project)
	if err != nil {
		return nil, failed(what, err)
	}
	list, err := s.list(ctx, "issue/createmeta/"+project+"/issuetypes", "issueTypes")
	if err != nil {
		return nil, failed(what, err)
	}
	types := make([]issueType, len(list))
	for i := range list {
		if err := json.Unmarshal(list[i], &types[i]); err != nil {
			return nil, failed(what, err)
		}
	}
	return types, nil
}

// field is what a form needs to know of a field.
type field struct {
	Required      json.RawMessage `json:"required,omitempty"`
	AllowedValues json.RawMessage `json:"allowedValues"`
	DefaultValue  json.RawMessage `json:"defaultValue"`
	Schema        json.RawMessage `json:"schema,omitempty"`
	Name          json.RawMessage `json:"name,omitempty"`
}

// fields answers fieldsByIssueType: the fields by their ids.
func (s *session) fields(ctx context.Context, typeID string) (map[string]field, error) {
	const what = "Unable to get fields"
	project, err := segment(s.project)
	if err != nil {
		return nil, failed(what, err)
	}
	id, err := segment(typeID)
	if err != nil {
		return nil, failed(what, err)
	}
	list, err := s.list(ctx, "issue/createmeta/"+project+"/issuetypes/"+id, "fields")
	if err != nil {
		return nil, failed(what, err)
	}
	fields := make(map[string]field, len(list))
	for _, raw := range list {
		var f struct {
			ID string `json:"fieldId"`
			field
		}
		if err := json.Unmarshal(raw, &f); err != nil {
			return nil, failed(what, err)
		}
		f.AllowedValues = orElse(f.AllowedValues, "[]")
		f.DefaultValue = orElse(f.DefaultValue, "{}")
		fields[f.ID] = f.field
	}
	return fields, nil
}

func orElse(value json.RawMessage, fallback string) json.RawMessage {
	if len(value) == 0 || strings.TrimSpace(string(value)) == "null" {
		return json.RawMessage(fallback)
	}
	return value
}

// atOnce is how many issue types are asked about at the same time.
const atOnce = 4

// commonFields answers getFields: the fields that every issue type has, as the
// first one describes them. Kibana starts anew with the next type's fields when
// nothing is left, and so names fields that not every type has.
func (s *session) commonFields(ctx context.Context) (any, error) {
	types, err := s.types(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]map[string]field, len(types))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var once sync.Once
	var first error // the others may only tell that the first one stopped them
	slots := make(chan struct{}, atOnce)
	var asking sync.WaitGroup
	for i := range types {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			var err error
			if all[i], err = s.fields(ctx, types[i].ID); err != nil {
				once.Do(func() { first = err; stop() })
			}
		})
	}
	asking.Wait()
	if first != nil {
		return nil, first
	}
	common := map[string]field{}
	if len(all) > 0 {
		common = all[0]
	}
	for name := range common {
		for _, fields := range all {
			if _, ok := fields[name]; !ok {
				delete(common, name)
				break
			}
		}
	}
	return common, nil
}
