// Command stub stands for the destinations of a benchmark: it answers the
// requests of ".index" and ".jira" connectors at once, after a delay, or not at
// all, and does as little as it can for it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "stub:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var s stub
	flag.DurationVar(&s.delay, "delay", 0, "how long each answer takes")
	flag.BoolVar(&s.hang, "hang", false, "answer nothing: wait until the client goes away")
	flag.Parse()
	routes := http.NewServeMux()
	routes.HandleFunc("GET /_stats", s.stats)
	routes.HandleFunc("POST /_bulk", s.counted(bulk))
	routes.HandleFunc("POST /{index}/_bulk", s.counted(bulk))
	routes.HandleFunc("GET /rest/api/2/issue/{id}", s.counted(issue))

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h := &http.Server{Handler: routes}
	served := make(chan error, 1)
	go func() { served <- h.Serve(listener) }()
	fmt.Printf("Stub is ready at http://%s\n", listener.Addr())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return h.Close() // what hangs is cut
	}
}

type stub struct {
	delay    time.Duration
	hang     bool
	requests atomic.Int64 // all that came
	running  atomic.Int64 // those without an answer yet
}

// stats answers the two numbers, for who measures.
func (s *stub) stats(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "%d %d", s.requests.Load(), s.running.Load())
}

// counted reads the request, waits as it was told, and answers.
func (s *stub) counted(answer func(b []byte, r *http.Request, body []byte) []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		s.running.Add(1)
		defer s.running.Add(-1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client left
		}
		if s.hang {
			<-r.Context().Done()
			return
		}
		if s.delay > 0 {
			time.Sleep(s.delay)
		}
		b := answer(make([]byte, 0, 256+4*len(body)), r, body)
		header := w.Header()
		header.Set("Content-Type", "application/json")
		header.Set("X-Elastic-Product", "Elasticsearch")
		header.Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = w.Write(b) // the client may have left
	}
}
