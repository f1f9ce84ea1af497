// Package elastictest is a strict stand-in of Elasticsearch 8's _bulk API, for
// tests, end-to-end scripts and benchmarks.
//
// It takes POST /{index}/_bulk and POST /_bulk, keeps the documents it was sent
// in memory and answers as Elasticsearch does. What a well-behaved client never
// sends is a violation: it is recorded, see [Server.Violations], and refused the
// way Elasticsearch refuses it, or served where Elasticsearch would not mind.
//
// The name of the index chooses what goes wrong, so that a script of plain data
// can ask for it; under any other name all goes well. In POST /_bulk the first
// such name among the actions decides, but for per-item, crowded and no-reason,
// which hold for the documents of that index alone.
//
//	index            answer                                                   documents
//	status-400       illegal_argument_exception                               dropped
//	status-401       security_exception: who are you                          dropped
//	status-403       security_exception: you may not                          dropped
//	status-413       no body                                                  dropped
//	status-429       es_rejected_execution_exception                          dropped
//	status-500       illegal_state_exception                                  dropped
//	status-502       HTML of a proxy                                          dropped
//	status-503       cluster_block_exception                                  dropped
//	status-504       HTML of a proxy                                          dropped
//	status-429-in-5  as status-429, with Retry-After: 5                       dropped
//	status-503-in-5  as status-503, with Retry-After: 5                       dropped
//	per-item         200; each document's member "status" (201, 400, 409,     those with 201,
//	                 429 or 503) is the status of its item, 201 without one   or without one
//	crowded          200; a document that comes for the first time has        those that come
//	                 status 429                                               again
//	crowded-whole    as status-429 when its first document comes for the      those that come
//	                 first time                                               again
//	ingest           200, with ingest_took                                    kept
//	no-reason        200; every item has status 400 and an error that has     dropped
//	                 no reason
//	errors-no-items  200 with errors true and no items                        dropped
//	wrong-count      200 with errors false and an item too few                kept
//	cut              200, the connection is closed amid the body              kept
//	reset            none, the connection is reset                            kept
//	reset-first      as reset when its first document comes for the first     kept
//	                 time
//	silent           none until the client goes away or [Server.Close]        kept
//	large            200, over 2 MiB, errors is its first member              kept
//	large-late       200, over 2 MiB, errors and items come last              kept
//	html             200, text/html                                           dropped
//	not-elastic      200 as if all went well, without X-Elastic-Product       dropped
//
// A document has the id of its action, and is refused if its index has one with
// that id. Ids that the server makes count up from its start. A document that is
// not written has, without one of its action, an id that tells its place in the
// request, so that the error that repeats it is always the same.
package elastictest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Options change what the stand-in demands and keeps. The zero value demands no
// credentials and keeps all.
type Options struct {
	APIKey   string // encoded, as it stands in the Authorization header; "" for none
	Username string // instead of an API key
	Password string
	Discard  bool // keep neither documents nor requests, for benchmarks

	MaxBody int           // bytes of a request, more are answered 413; 0 for any number
	Delay   time.Duration // before each answer, for benchmarks
}

// Server is a running stand-in. It is also an [http.Handler], for a test that
// brings a listener of its own.
type Server struct {
	options Options
	url     string
	server  http.Server
	serving sync.WaitGroup
	closing chan struct{} // closed by Close

	mu          sync.Mutex
	handlers    sync.WaitGroup // added to under mu while closed is false
	closed      bool
	arrived     chan struct{} // closed and replaced whenever count grows
	held        chan struct{} // closed to release; nil when nothing is held
	count       int
	connections int
	written     int64
	requests    []Request
	violations  []string
	documents   map[string][][]byte
	ids         map[string][]string        // of those documents
	taken       map[string]map[string]bool // ids that actions named, by index
	seen        map[string]bool            // documents that came before, if that makes a difference
}

// Request is one _bulk request as it came.
type Request struct {
	URI     string // path and query, escaped
	Index   string // of the path, decoded; "" for POST /_bulk
	Refresh string
	Header  http.Header
	Body    []byte
}

// Start starts a stand-in with the zero [Options].
func Start() *Server { return StartWith(Options{}) }

// StartWith starts a stand-in on a free port of 127.0.0.1. It panics if it
// cannot listen.
func StartWith(options Options) *Server {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("elastictest: %v", err))
	}
	s := &Server{
		options:   options,
		url:       "http://" + listener.Addr().String(),
		closing:   make(chan struct{}),
		arrived:   make(chan struct{}),
		documents: make(map[string][][]byte),
		ids:       make(map[string][]string),
		taken:     make(map[string]map[string]bool),
		seen:      make(map[string]bool),
	}
	s.server.Handler = s
	s.server.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.connections++
		}
	}
	s.serving.Go(func() { _ = s.server.Serve(listener) }) // returns when Close closes the listener
	return s
}

// URL returns the address, "http://127.0.0.1:port".
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

// Requests returns how many _bulk requests were read to their end, whatever
// became of them.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Received returns those requests in the order of their arrival.
func (s *Server) Received() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Connections returns how many connections were opened so far.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Wait returns nil once n _bulk requests were read, or the cause of ctx's end.
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

func (s *Server) violation(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violations = append(s.violations, what)
}
