package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// client is a client of the api.
type client struct {
	url  string
	http *http.Client
}

func newClient(t *testing.T, url string) client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return client{url, &http.Client{Transport: transport, Timeout: 2 * patience}}
}

// answer is what a client got. err is set if it got none.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

// ok says that it is that of an execution that went well.
func (a answer) ok() bool { return a.status == 200 && a.outcome() == "ok" }

func (a answer) outcome() string { return a.header.Get("Patchbay-Outcome") }

// lost says that it does not tell whether the request was carried out.
func (a answer) lost() bool {
	return a.status == 500 || a.err != nil && !errors.Is(a.err, syscall.ECONNREFUSED)
}

// String tells what matters of it.
func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%d %s %.500s", a.status, a.outcome(), a.body)
}

// do sends a request. Headers are "Name: value".
func (c client) do(ctx context.Context, method, path, body string, headers ...string) answer {
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text), err}
}

func (c client) get(path string) answer { return c.do(context.Background(), "GET", path, "") }

// connector makes or keeps a connector.
func (c client) connector(t *testing.T, id, body string) {
	t.Helper()
	if a := c.do(t.Context(), "POST", "/api/actions/connector/"+id, body); a.status != 200 && a.status != 409 {
		t.Fatalf("create %s: %s", id, a)
	}
}

// execute runs a connector and waits for what comes of it.
func (c client) execute(id, params string, headers ...string) answer {
	return c.do(context.Background(), "POST", "/api/actions/connector/"+id+"/_execute", `{"params":`+params+`}`, headers...)
}
