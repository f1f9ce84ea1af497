package index

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
)

func TestSequentialExecutionsShareAConnection(t *testing.T) {
	t.Parallel()
	e, cluster := setup(t)
	// An answer that is not read to its end, or not closed, costs its connection.
	names := []string{"any", "per-item", "status-401", "status-413", "status-502", "status-503", "errors-no-items", "html", "no-reason", "wrong-count"}
	for i := range 50 {
		_, _ = e.Execute(t.Context(), into(t, names[i%len(names)], `{}`))
	}
	if got := fmt.Sprint(cluster.Requests(), cluster.Connections()); got != "50 1" {
		t.Errorf("requests and connections: %s, want 50 1", got)
	}
}

func TestClusterOutOfReachMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	// Nobody listens where a connection begins, and nobody else gets that port.
	_, cluster := setup(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(cluster.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	tests := []struct{ host, reason string }{
		{conn.LocalAddr().String(), "dial tcp host: connect: connection refused"},
		{"no..such..host:9200", "dial tcp: lookup no..such..host: no such host"}, // no resolver is asked for it
	}
	for _, test := range tests {
		e := newExecutor(t, Config{URL: "http://" + test.host})
		_, err := e.Execute(t.Context(), into(t, "any", `{}`))
		if diff := cmp.Diff(notSent(test.reason), withoutPorts(failure(t, err)), comparable); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.host, diff)
		}
	}
}

// brokenConn is a connection of which the other side is gone: nothing more can
// be written.
type brokenConn struct {
	net.Conn
	broken *atomic.Bool
}

func (c brokenConn) Write(b []byte) (int, error) {
	if c.broken.Load() {
		return 0, errors.New("broken pipe")
	}
	return c.Conn.Write(b)
}

// net/http takes another connection when nothing could be written to an idle
// one; if there is none, then nothing was sent.
func TestConnectionThatBreaksWhileIdleIsNotUnknown(t *testing.T) {
	t.Parallel()
	e, cluster := setup(t)
	var broken atomic.Bool
	dial := e.transport.DialContext
	e.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if broken.Load() {
			return nil, errors.New("connection refused")
		}
		conn, err := dial(ctx, network, address)
		return brokenConn{conn, &broken}, err
	}
	if _, err := e.Execute(t.Context(), into(t, "any", `{}`)); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	_, err := e.Execute(t.Context(), into(t, "any", `{}`))
	if diff := cmp.Diff(notSent("connection refused"), failure(t, err), comparable); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
	if got := cluster.Requests(); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

type watchedConn struct {
	net.Conn
	closed func()
}

func (c watchedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}

func TestAnswerThatIsNotReadToItsEndIsClosed(t *testing.T) {
	t.Parallel()
	e, _ := setup(t)
	closed := make(chan struct{})
	dial := e.transport.DialContext
	e.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return watchedConn{conn, sync.OnceFunc(func() { close(closed) })}, err
	}
	if _, err := e.Execute(t.Context(), into(t, "large", `{}`)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("the connection is held for the rest of the answer")
	}
}

// A redirect is not followed: it would carry the credentials to another host.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	e := newExecutor(t, Config{URL: server.URL})
	_, err := e.Execute(t.Context(), into(t, "any", `{}`))
	want := &wire.Failure{Message: "error indexing documents", ServiceMessage: "307 Temporary Redirect", Source: wire.User}
	if diff := cmp.Diff(want, failure(t, err), comparable); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
	if got := requests.Load(); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

// Concurrent executions must not see each other's answers.
func TestConcurrentExecutionsGetTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	e, cluster := setup(t)
	const n = 32
	type outcome struct {
		items int
		err   error
	}
	outcomes := make([]chan outcome, n)
	release := cluster.Hold()
	for i := range outcomes {
		outcomes[i] = make(chan outcome, 1)
		job := into(t, "any", `{}`)
		for range i {
			job.Params.Documents = append(job.Params.Documents, job.Params.Documents[0])
		}
		go func() {
			data, err := e.Execute(t.Context(), job)
			var answer struct{ Items []json.RawMessage }
			_ = json.Unmarshal(data, &answer)
			outcomes[i] <- outcome{len(answer.Items), err}
		}()
	}
	if err := cluster.Wait(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	release()
	for i, ch := range outcomes {
		if got := <-ch; got.items != i+1 || got.err != nil {
			t.Errorf("execution of %d documents: %d items, %v", i+1, got.items, got.err)
		}
	}
}
