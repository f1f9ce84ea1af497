package index

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
)

var port = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// withoutPorts returns f with the same address for every connection.
func withoutPorts(f *wire.Failure) *wire.Failure {
	f.ServiceMessage = port.ReplaceAllString(f.ServiceMessage, "host")
	return f
}

func lost(reason string) *wire.Failure {
	return &wire.Failure{
		Message: "error indexing documents", ServiceMessage: unknownPrefix + reason,
		Retry: wire.RetryNever(), Source: wire.User, Unknown: true,
	}
}

func notSent(reason string) *wire.Failure {
	return &wire.Failure{Message: "error indexing documents", ServiceMessage: reason, Retry: wire.RetryLater(), Source: wire.User}
}

func TestLostAnswerIsUnknownAndNotSentAgain(t *testing.T) {
	t.Parallel()
	tests := []struct{ index, reason string }{
		{"cut", "unexpected EOF"},
		{"reset", "read tcp host->host: read: connection reset by peer"},
	}
	for _, test := range tests {
		for _, connection := range []string{"new", "kept alive"} {
			t.Run(test.index+" on a connection that is "+connection, func(t *testing.T) {
				t.Parallel()
				e, cluster := setup(t)
				requests := 1
				if connection == "kept alive" { // on which net/http itself would repeat some requests
					if _, err := e.Execute(t.Context(), into(t, "any", `{}`)); err != nil {
						t.Fatal(err)
					}
					requests++
				}
				_, err := e.Execute(t.Context(), into(t, test.index, `{"a":1}`))
				if diff := cmp.Diff(lost(test.reason), withoutPorts(failure(t, err)), comparable); diff != "" {
					t.Errorf("failure (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff([]string{`{"a":1}`}, lines(cluster.Documents(test.index))); diff != "" {
					t.Errorf("documents (-want +got):\n%s", diff)
				}
				if got := cluster.Requests(); got != requests {
					t.Errorf("%d requests, want %d", got, requests)
				}
			})
		}
	}
}

func TestContextThatEndsBeforeTheAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	for _, index := range []string{"silent", "any"} {
		t.Run(index, func(t *testing.T) {
			t.Parallel()
			e, cluster := setup(t)
			if index != "silent" {
				defer cluster.Hold()()
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			done, job := make(chan error, 1), into(t, index, `{}`)
			go func() {
				_, err := e.Execute(ctx, job)
				done <- err
			}()
			if err := cluster.Wait(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			cancel(errors.New("the caller went away"))
			if diff := cmp.Diff(lost("the caller went away"), failure(t, <-done), comparable); diff != "" {
				t.Errorf("failure (-want +got):\n%s", diff)
			}
			if got := cluster.Requests(); got != 1 {
				t.Errorf("%d requests, want 1", got)
			}
		})
	}
}

func TestContextThatEndsAmidTheAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		_, _ = io.WriteString(w, `{"errors":false,"took":3,"items":[`)
		_ = http.NewResponseController(w).Flush()
		close(begun)
		<-r.Context().Done()
	}))
	defer server.Close()
	e := newExecutor(t, Config{URL: server.URL})
	ctx, cancel := context.WithCancelCause(t.Context())
	done, job := make(chan error, 1), into(t, "any", `{}`)
	go func() {
		_, err := e.Execute(ctx, job)
		done <- err
	}()
	<-begun
	cancel(errors.New("the time limit of 1s is over"))
	if diff := cmp.Diff(lost("the time limit of 1s is over"), failure(t, <-done), comparable); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
}

func TestLateAnswerIsAnAnswer(t *testing.T) {
	t.Parallel()
	e, cluster := setup(t)
	release := cluster.Hold()
	done, job := make(chan error, 1), into(t, "any", `{}`)
	go func() {
		_, err := e.Execute(t.Context(), job)
		done <- err
	}()
	if err := cluster.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A status tells that the cluster refused, even if the body behind it is lost.
func TestErrorStatusWithACutBodyIsNotUnknown(t *testing.T) {
	t.Parallel()
	const in5 = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nContent-Length: 1000\r\n\r\n"
	tests := []struct {
		answer string
		want   *wire.Failure
	}{
		{in5, &wire.Failure{ServiceMessage: "429 Too Many Requests", Retry: wire.RetryAt(clock.Add(5 * time.Second))}},
		{in5 + `{"error":{"ty`, &wire.Failure{ServiceMessage: `{"error":{"ty`, Retry: wire.RetryAt(clock.Add(5 * time.Second))}},
		{"HTTP/1.1 401 Unauthorized\r\nContent-Length: 1000\r\n\r\n", &wire.Failure{ServiceMessage: "401 Unauthorized"}},
		{"HTTP/1.1 520 \r\nContent-Length: 1000\r\n\r\n", lost("520")},
		{"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1000\r\n\r\n", lost("502 Bad Gateway")},
	}
	for _, test := range tests {
		t.Run(test.answer, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					panic(err)
				}
				_, _ = io.WriteString(conn, test.answer)
				_ = conn.Close()
			}))
			defer server.Close()
			e := newExecutor(t, Config{URL: server.URL})
			_, err := e.Execute(t.Context(), into(t, "any", `{}`))
			if diff := cmp.Diff(ours(test.want), failure(t, err), comparable); diff != "" {
				t.Errorf("failure (-want +got):\n%s", diff)
			}
		})
	}
}
