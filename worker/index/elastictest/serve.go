package elastictest

import (
	"crypto/subtle"
	"io"
	"net/http"
	"strings"
	"time"
)

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler) // closes the connection
	}
	defer s.handlers.Done()
	index, b := route(r)
	if b != nil {
		s.refuse(w, r, b)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.refuse(w, r, illegal("the body is shorter than its Content-Length: "+err.Error()))
		return
	}
	query := r.URL.Query()
	held := s.receive(Request{URI: r.RequestURI, Index: index, Refresh: query.Get("refresh"), Header: r.Header, Body: body})
	if held != nil && !s.wait(r, held) {
		panic(http.ErrAbortHandler)
	}
	if s.options.Delay > 0 && !s.delay(r) {
		panic(http.ErrAbortHandler)
	}
	if s.options.MaxBody > 0 && len(body) > s.options.MaxBody {
		tooLarge().write(w)
		return
	}
	if r.ContentLength < 0 {
		s.violationOf(r, "the request has no Content-Length")
	}
	if !query.Has("refresh") {
		s.violationOf(r, "the request does not say refresh")
	}
	if b := checkRequest(r, query); b != nil {
		s.refuse(w, r, b)
		return
	}
	if unauthorized := s.authenticate(r); unauthorized != nil {
		unauthorized.write(w)
		return
	}
	if len(body) == 0 {
		// Not a violation: it is how an execution without documents ends.
		failed(http.StatusBadRequest, "parse_exception", "request body is required").write(w)
		return
	}
	operations, b := s.parse(index, body)
	if b != nil {
		s.refuse(w, r, b)
		return
	}
	s.bulk(w, r, operations, query.Get("refresh"))
}

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

// delay is wait for the delay of the options.
func (s *Server) delay(r *http.Request) bool {
	over := make(chan struct{})
	timer := time.AfterFunc(s.options.Delay, func() { close(over) })
	defer timer.Stop()
	return s.wait(r, over)
}

// bulk answers a request that keeps the protocol.
func (s *Server) bulk(w http.ResponseWriter, r *http.Request, operations []operation, refresh string) {
	for _, op := range operations {
		if fault, ok := faults[op.index]; ok {
			fault(s, w, r, operations, refresh)
			return
		}
	}
	success(s.apply(operations, refresh)).write(w)
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, b *breach) {
	s.violationOf(r, b.reason)
	failed(b.status, b.kind, b.reason).write(w)
}

func (s *Server) violationOf(r *http.Request, what string) {
	s.violation(r.Method + " " + r.RequestURI + ": " + what)
}

// authenticate returns the answer to wrong or missing credentials, or nil.
func (s *Server) authenticate(r *http.Request) *answer {
	given := r.Header.Get("Authorization")
	scheme, credentials, _ := strings.Cut(given, " ")
	user, password, isBasic := r.BasicAuth()
	switch {
	case s.options.APIKey == "" && s.options.Username == "":
		return nil
	case s.options.APIKey != "" && strings.EqualFold(scheme, "ApiKey") && same(credentials, s.options.APIKey):
		return nil
	case s.options.Username != "" && isBasic && same(user, s.options.Username) && same(password, s.options.Password):
		return nil
	case given == "":
		return unauthenticated("missing authentication credentials for REST request [" + r.RequestURI + "]")
	case isBasic:
		return unauthenticated("unable to authenticate user [" + user + "] for REST request [" + r.RequestURI + "]")
	default:
		return unauthenticated("unable to authenticate with provided credentials and anonymous access is not allowed for this request")
	}
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
