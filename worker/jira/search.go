package jira

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"unicode"
)

// issues answers the sub-action of this name: the issues of the project whose
// summary has the words of a title.
func (s *session) issues(ctx context.Context, title string) (any, error) {
	found, err := s.find(ctx, "project="+quote(s.project)+" and summary ~"+quote(words(title)))
	if err != nil && !errors.Is(err, errTooMany) { // thousands are enough to choose from
		return nil, failed("Unable to get issues", err)
	}
	summaries := make([]summaryOf, len(found))
	for i := range found {
		summaries[i] = found[i].summary()
	}
	return summaries, nil
}

// quote returns a text as a string of JQL.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsControl(r): // not allowed as it is
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// operators are words with a meaning in a text search when they are in capitals.
var operators = regexp.MustCompile(`\b(?:AND|OR|NOT)\b`)

// words returns a title as a text search of nothing but its words. Kibana's
// escaping drops quotes and makes two backslashes of an apostrophe.
func words(title string) string {
	title = operators.ReplaceAllStringFunc(title, strings.ToLower) // a search does not tell case
	var b strings.Builder
	for _, r := range title {
		if strings.ContainsRune(`-!^+&*()[]/{}|:?~"\`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// find returns the issues that JQL finds, read to the last page, with their keys
// and summaries. Cloud has only the newer search, Data Center only the older; an
// address is asked once which one it has.
func (s *session) find(ctx context.Context, jql string) ([]issue, error) {
	older := s.search.older(s.apiURL)
	found, err := s.findBy(ctx, jql, older)
	if !absent(err) {
		return found, err
	}
	found, second := s.findBy(ctx, jql, !older)
	if absent(second) {
		return nil, err
	}
	t, refused := errors.AsType[*trouble](second)
	if second == nil || refused && t.status == http.StatusBadRequest { // it read the query
		s.search.remember(s.apiURL, !older)
	}
	return found, second
}

// absent tells whether an error says that there is no such endpoint.
func absent(err error) bool {
	t, ok := errors.AsType[*trouble](err)
	return ok && (t.status == http.StatusNotFound || t.status == http.StatusMethodNotAllowed || t.status == http.StatusGone)
}

func (s *session) findBy(ctx context.Context, jql string, older bool) ([]issue, error) {
	var all []issue
	token := ""
	for range maxPages {
		path := "search/jql?jql=" + escape(jql) + "&fields=summary,key"
		if older {
			path = "search?jql=" + escape(jql) + "&fields=summary,key" + fmt.Sprintf("&startAt=%d", len(all))
		}
		path += fmt.Sprintf("&maxResults=%d", pageSize)
		if token != "" {
			path += "&nextPageToken=" + escape(token)
		}
		var page struct {
			Issues []issue `json:"issues"`
			Token  string  `json:"nextPageToken"`
			IsLast bool    `json:"isLast"`
			Total  int     `json:"total"`
		}
		if err := s.do(ctx, request{method: http.MethodGet, path: path, into: &page}); err != nil {
			return nil, err
		}
		all = append(all, page.Issues...)
		if len(all) > maxEntries {
			return all[:maxEntries], errTooMany
		}
		token = page.Token
		if older && (len(page.Issues) == 0 || len(all) >= page.Total) || !older && (page.IsLast || token == "") {
			return all, nil
		}
	}
	return all, errTooMany
}

// maxSearches is how many addresses are remembered.
const maxSearches = 4096

// searches knows which addresses have the older search only.
type searches struct {
	mu    sync.Mutex
	byURL map[string]bool
}

func (s *searches) older(apiURL string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byURL[apiURL]
}

func (s *searches) remember(apiURL string, older bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byURL == nil || len(s.byURL) >= maxSearches {
		s.byURL = make(map[string]bool) // each costs one more request to learn again
	}
	s.byURL[apiURL] = older
}
