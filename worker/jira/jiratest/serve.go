package jiratest

import (
	"crypto/subtle"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// call is one request on its way.
type call struct {
	*Server
	request *http.Request
	path    []string // of the API, decoded, without what stands before it
	query   url.Values
	body    []byte
}

// job is a request that keeps the protocol.
type job struct {
	names []string // what may name a fault
	run   func() *answer
}

// route is one line of the API.
type route struct {
	method string
	path   string // segments; {} stands for any
	face   face
	query  []string                   // parameters that are known
	open   bool                       // also to those who do not say who they are
	handle func(*call) (job, *answer) // either a job or why there is none
}

type face int

const (
	both face = iota
	cloud
	dataCenter
)

var routes = []route{
	{method: "POST", path: "issue", handle: (*call).createIssue},
	{method: "GET", path: "issue/{}", query: []string{"fields"}, handle: (*call).getIssue},
	{method: "PUT", path: "issue/{}", handle: (*call).updateIssue},
	{method: "GET", path: "issue/{}/comment", query: []string{"startAt", "maxResults"}, handle: (*call).listComments},
	{method: "POST", path: "issue/{}/comment", handle: (*call).addComment},
	{method: "GET", path: "issue/createmeta/{}/issuetypes", query: []string{"startAt", "maxResults"}, handle: (*call).listIssueTypes},
	{method: "GET", path: "issue/createmeta/{}/issuetypes/{}", query: []string{"startAt", "maxResults"}, handle: (*call).listFields},
	{method: "GET", path: "search/jql", face: cloud, query: []string{"jql", "fields", "nextPageToken", "maxResults"}, handle: (*call).search},
	{method: "POST", path: "search/jql", face: cloud, handle: (*call).search},
	{method: "GET", path: "search", face: dataCenter, query: []string{"jql", "fields", "startAt", "maxResults"}, handle: (*call).search},
	{method: "POST", path: "search", face: dataCenter, handle: (*call).search},
	{method: "GET", path: "search", face: cloud, query: []string{"jql", "fields", "startAt", "maxResults"}, handle: (*call).removedSearch},
	{method: "POST", path: "search", face: cloud, handle: (*call).removedSearch},
	{method: "GET", path: "search/jql", face: dataCenter, query: []string{"jql", "fields", "nextPageToken", "maxResults"}, handle: (*call).missingSearch},
	{method: "POST", path: "search/jql", face: dataCenter, handle: (*call).missingSearch},
	{method: "GET", path: "serverInfo", open: true, handle: (*call).serverInfo},
	{method: "GET", path: "myself", handle: (*call).myself},
}

const api = "/rest/api/2/"

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler) // closes the connection
	}
	defer s.handlers.Done()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.violation(r, "the body is shorter than its Content-Length: "+err.Error())
		failed(http.StatusBadRequest, "The request was cut.").write(w)
		return
	}
	held := s.receive(Request{Method: r.Method, URI: r.RequestURI, Header: r.Header.Clone(), Body: body})
	if held != nil && !s.wait(r, held) {
		panic(http.ErrAbortHandler)
	}
	if s.options.DataCenter {
		for name, value := range rateLimit {
			w.Header().Set(name, value)
		}
	}
	c := &call{Server: s, request: r, body: body}
	todo, refusal := c.accept()
	if refusal != nil {
		refusal.write(w)
		return
	}
	c.do(w, todo)
}

// rateLimit is what Data Center tells with every answer.
var rateLimit = map[string]string{
	"X-RateLimit-Limit":            "100",
	"X-RateLimit-Remaining":        "99",
	"X-RateLimit-Interval-Seconds": "1",
	"X-RateLimit-FillRate":         "10",
	"Retry-After":                  "0",
}

// accept finds the route and holds the request against it.
func (c *call) accept() (job, *answer) {
	r := c.request
	if r.URL.Path == c.options.ContextPath+"/elsewhere" {
		return job{}, ofHTML(http.StatusOK, "Log in", "Log in to continue")
	}
	found, refusal := c.route()
	if refusal != nil {
		return job{}, refusal
	}
	if refusal := c.authenticate(); refusal != nil && !found.open {
		return job{}, refusal
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return job{}, c.breach(http.StatusBadRequest, "the query is malformed: "+err.Error())
	}
	c.query = query
	for name, values := range query {
		switch {
		case !slices.Contains(found.query, name):
			c.violation(r, "unknown parameter "+name)
		case len(values) > 1 && name != "fields":
			c.violation(r, "parameter "+name+" comes twice")
		}
	}
	if r.Method == http.MethodGet {
		if len(c.body) > 0 {
			return job{}, c.breach(http.StatusBadRequest, "a GET has a body")
		}
		return found.handle(c)
	}
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(kind, "application/json") {
		return job{}, c.breach(http.StatusUnsupportedMediaType, "the body is no application/json but "+kind)
	}
	return found.handle(c)
}

// route finds the route by the path as it was sent, before any decoding.
func (c *call) route() (route, *answer) {
	r := c.request
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), c.options.ContextPath+api)
	if !ok {
		c.violation(r, "unknown path")
		return route{}, noSuchPage()
	}
	for escaped := range strings.SplitSeq(rest, "/") {
		segment, err := url.PathUnescape(escaped)
		switch {
		case err != nil, strings.ContainsAny(segment, "/\\"):
			// Tomcat, below Jira, takes no escaped slash.
			c.violation(r, "the path has an escaped slash")
			return route{}, ofHTML(http.StatusBadRequest, "HTTP Status 400 – Bad Request", "HTTP Status 400 – Bad Request")
		case segment == "", segment == ".", segment == "..":
			c.violation(r, "the path has an empty or a dot segment")
			return route{}, noSuchPage()
		}
		c.path = append(c.path, segment)
	}
	other := false
	for _, candidate := range routes {
		if !c.serves(candidate.face) || !matches(candidate.path, c.path) {
			continue
		}
		if candidate.method == r.Method {
			return candidate, nil
		}
		other = true
	}
	if other {
		c.violation(r, "unknown method")
		return route{}, failedREST(http.StatusMethodNotAllowed, "HTTP 405 Method Not Allowed")
	}
	c.violation(r, "unknown path")
	return route{}, c.noSuchResource()
}

func (s *Server) serves(f face) bool { return f == both || (f == dataCenter) == s.options.DataCenter }

func (s *Server) noSuchResource() *answer {
	return failedREST(http.StatusNotFound, "HTTP 404 Not Found")
}

// matches reports whether path is of the pattern.
func matches(pattern string, path []string) bool {
	segments := strings.Split(pattern, "/")
	return slices.EqualFunc(segments, path, func(want, got string) bool { return want == "{}" || want == got })
}

// breach records what a well-behaved client never does and refuses it.
func (c *call) breach(status int, what string) *answer {
	c.violation(c.request, what)
	return failed(status, what)
}

// authenticate returns the answer to wrong or missing credentials, or nil.
func (c *call) authenticate() *answer {
	user, password, ok := c.request.BasicAuth()
	if ok && same(user, c.options.Email) && same(password, c.options.Token) {
		return nil
	}
	const text = "Client must be authenticated to access this resource."
	accept := c.request.Header.Get("Accept")
	switch {
	case !c.options.DataCenter:
		return (&answer{
			status: http.StatusUnauthorized,
			header: map[string]string{"Content-Type": "text/html;charset=UTF-8", "X-Seraph-Loginreason": "AUTHENTICATED_FAILED"},
			body:   []byte(text),
		}).with("Www-Authenticate", `OAuth realm="https%3A%2F%2Fexample.atlassian.net"`)
	case strings.Contains(accept, "json"), strings.Contains(accept, "*/*"):
		return failedREST(http.StatusUnauthorized, text).with("X-Seraph-Loginreason", "AUTHENTICATED_FAILED")
	default:
		return &answer{
			status: http.StatusUnauthorized,
			header: map[string]string{"Content-Type": "application/xml;charset=UTF-8", "X-Seraph-Loginreason": "AUTHENTICATED_FAILED"},
			body: []byte(`<?xml version="1.0" encoding="UTF-8" standalone="yes"?><status><status-code>401</status-code><message>` +
				text + `</message></status>`),
		}
	}
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// wait returns true when until is closed, false when nobody waits any more.
func (s *Server) wait(r *http.Request, until <-chan struct{}) bool {
	select {
	case <-until:
		return true
	case <-r.Context().Done():
	case <-s.closing:
	}
	return false
}
