// Package jiratest is a strict, stateful stand-in of Jira, Cloud or Data Center,
// for tests, end-to-end scripts and benchmarks.
//
// It serves what a connector needs of /rest/api/2: issues, comments, createmeta
// by project and type, search, serverInfo and myself. It keeps the issues and
// comments it was sent in memory and answers as Jira does. What a user's data may
// be blamed for is refused as Jira refuses it; what a well-behaved client never
// sends, whatever the data, is a violation besides: it is recorded, see
// [Server.Violations]. Such are an unknown path, method or parameter, a body that
// is no JSON object of the members expected, JQL that is malformed or asks for
// more than project =, labels = and summary ~, and a text for ~ that is a query of
// its own: an unescaped character that is special to Lucene, or a bare AND, OR or
// NOT.
//
// The project has the types Task (10006), Sub-task (10007), Bug (10004) and
// Incident (10011). All of them show summary, project, issuetype, parent,
// description, labels and customfield_10001, a text; Incident has no priority;
// Bug has environment; customfield_10002 is an option of Bug and Incident,
// customfield_10003 a number of Task and Incident. A sub-task demands its parent.
//
// Nothing is left to chance: the first issue is 10000 or CK-1, the first comment
// 11000, and time stands still at 2026-01-05T10:00:00.123Z but for a second that
// each write takes. Only fault-429-date reads the clock.
//
// A name that the request carries chooses what goes wrong, so that a script of
// plain data can ask for it; without one all goes well. Where a request has
// several, the first of these decides: the id or key of the issue in the path, the
// key of the project, the id of the issue type, then the summary of a create or
// update, the text of a comment or a value in JQL. An issue, project or type of
// such a name is there, though it stands in no list. Another name that begins with
// fault- is a violation.
//
//	name                 answer                                                request
//	fault-400            400, no errorMessages, errors of two fields           dropped
//	fault-400-messages   400, two errorMessages and an error of a field        dropped
//	fault-401-html       401, HTML                                             dropped
//	fault-403            403, one errorMessage                                 dropped
//	fault-404            404, as for an issue that is not there                dropped
//	fault-429            429, Retry-After: 5                                   dropped
//	fault-429-date       429, Retry-After: a date an hour ahead                dropped
//	fault-429-bare       429, no body and no Retry-After                       dropped
//	fault-500-html       500, HTML                                             dropped
//	fault-503-in-5       503, Retry-After: 5                                   dropped
//	fault-echo           400, errorMessages that repeat the Authorization      dropped
//	                     header and the token: as it is, escaped, in base64
//	fault-cut            the good one, the connection is closed amid the body  done
//	fault-reset          none, the connection is reset                         done
//	fault-silent         none until the client goes away or [Server.Close]     done
//	fault-large          the good one after a member of 2 MiB                  done
//	fault-html           200, text/html                                        dropped
//	fault-no-key         the good one without any id or key                    done
//	fault-array          200, an array                                         dropped
//	fault-redirect       302 to /elsewhere, an HTML page to log in, or to      dropped
//	                     the same path of Options.RedirectTo
//	fault-get-fails      the good one; GET of an issue with this summary or    done
//	                     id: 500
//	fault-comment-fails  the good one; the first comment on an issue with      done
//	                     this summary or id, or with this text: 400
//
// Data Center tells of its rate limits with every answer, Retry-After: 0 among
// them, but for fault-429-bare.
package jiratest

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
)

// Options change what the stand-in is and demands. The zero value is Jira Cloud.
type Options struct {
	DataCenter  bool   // the face of Jira Data Center, false for Cloud
	Email       string // HTTP Basic that is demanded; both empty: "patchbay@example.com"
	Token       string // and "jira-token-1234"
	ProjectKey  string // "" for "CK"
	PageSize    int    // most issue types, fields, comments or issues in one page; 0 for 50
	ZuluDates   bool   // dates end in Z instead of +0000
	RedirectTo  string // where fault-redirect leads, such as "http://host:port"; "" for /elsewhere of the stand-in
	ContextPath string // what stands before /rest, such as "/jira"; "" for nothing
	Discard     bool   // keep no requests and only the newest 1000 issues, for benchmarks
}

// Server is a running stand-in. It is also an [http.Handler], for a test that
// brings a listener of its own.
type Server struct {
	options Options
	url     string
	server  http.Server
	serving sync.WaitGroup
	closing chan struct{} // closed by Close

	mu         sync.Mutex
	handlers   sync.WaitGroup // added to under mu while closed is false
	closed     bool
	arrived    chan struct{} // closed and replaced whenever count grows
	held       chan struct{} // closed to release; nil when nothing is held
	count      int
	requests   []Request
	violations []string
	store
}

// Request is one request as it came.
type Request struct {
	Method string
	URI    string // path and query, escaped
	Header http.Header
	Body   []byte
}

// Issue is an issue as it stands.
type Issue struct {
	ID       string
	Key      string
	Fields   map[string]any // those that were sent, as encoding/json decodes them
	Comments []string       // their texts
}

// Start starts a stand-in with the zero [Options].
func Start() *Server { return StartWith(Options{}) }

// StartWith starts a stand-in on a free port of 127.0.0.1. It panics if it
// cannot listen.
func StartWith(options Options) *Server {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("jiratest: %v", err))
	}
	options.Email, options.Token = credentials(options)
	options.ProjectKey = cmp.Or(options.ProjectKey, "CK")
	options.PageSize = cmp.Or(options.PageSize, 50)
	s := &Server{
		options: options,
		url:     "http://" + listener.Addr().String() + options.ContextPath,
		closing: make(chan struct{}),
		arrived: make(chan struct{}),
		store:   newStore(),
	}
	s.server.Handler = s
	s.serving.Go(func() { _ = s.server.Serve(listener) }) // returns when Close closes the listener
	return s
}

func credentials(options Options) (email, token string) {
	if options.Email == "" && options.Token == "" {
		return "patchbay@example.com", "jira-token-1234"
	}
	return options.Email, options.Token
}

// URL returns the address, "http://127.0.0.1:port" and the context path.
func (s *Server) URL() string { return s.url }

// Close ends every connection, also those that wait for an answer, and returns
// when no request is served any more. A second Close does nothing.
func (s *Server) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	close(s.closing)
	s.mu.Unlock()
	_ = s.server.Close()
	s.handlers.Wait()
	s.serving.Wait()
}

// Violations returns every breach of the protocol so far, in the order of their
// arrival. A test ends by finding it empty.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// Issues returns the issues as they stand, in the order of their creation.
func (s *Server) Issues() []Issue { return s.snapshot() }

// Requests returns the requests that were read to their end, in the order of
// their arrival, whatever became of them.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Wait returns nil once n requests were read, or the cause of ctx's end.
func (s *Server) Wait(ctx context.Context, n int) error {
	for {
		s.mu.Lock()
		enough, arrived := s.count >= n, s.arrived
		s.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Hold makes requests that come from now on wait after they were read, before
// anything is written or answered, until release is called or Close.
func (s *Server) Hold() (release func()) {
	held := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = held
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.held == held {
			s.held = nil
		}
		close(held)
	})
}

// enter counts a handler in, unless the server is closed.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.handlers.Add(1)
	return true
}

// receive records a request and returns what it must wait for, nil for nothing.
func (s *Server) receive(req Request) (held <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	close(s.arrived)
	s.arrived = make(chan struct{})
	if !s.options.Discard {
		s.requests = append(s.requests, req)
	}
	return s.held
}

func (s *Server) violation(r *http.Request, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violations = append(s.violations, r.Method+" "+r.RequestURI+": "+what)
}
