package outbound

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

// zeros answers with as many bytes as the query says, in the way the path says.
func zeros(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.ParseInt(r.URL.RawQuery, 10, 64)
	var to io.Writer = w
	switch r.URL.Path {
	case "/length":
		w.Header().Set("Content-Length", r.URL.RawQuery)
	case "/chunked":
		_ = http.NewResponseController(w).Flush()
	case "/gzip":
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		defer zip.Close()
		to = zip
	case "/error":
		w.WriteHeader(http.StatusBadRequest)
	}
	for piece := make([]byte, 32<<10); n > 0; n -= int64(len(piece)) {
		if _, err := to.Write(piece[:min(n, int64(len(piece)))]); err != nil {
			return
		}
	}
}

func TestAnswerIsReadUpToTheLimit(t *testing.T) {
	t.Parallel()
	server, _ := serve(t, zeros)
	l := setup(t, open("127.0.0.0/8"), nil)
	for _, path := range []string{"/length", "/chunked", "/gzip", "/error"} {
		for _, size := range []int{0, 1, maxResponse - 1, maxResponse, maxResponse + 1, 1 << 30} {
			rawURL := fmt.Sprint(server.URL, path, "?", size)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, rawURL, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := l.Client().Do(req)
			if err != nil {
				t.Errorf("%s: %v", rawURL, err)
				continue
			}
			body, err := io.ReadAll(resp.Body)
			if len(body) != min(size, maxResponse) {
				t.Errorf("%s: read %d bytes, want %d", rawURL, len(body), min(size, maxResponse))
			}
			if size <= maxResponse {
				if err != nil {
					t.Errorf("%s: %v", rawURL, err)
				}
			} else if tooLarge, ok := errors.AsType[*TooLargeError](err); !ok || tooLarge.Limit != maxResponse {
				t.Errorf("%s: %v, want a *TooLargeError of %d", rawURL, err, maxResponse)
			} else if _, again := resp.Body.Read(make([]byte, 1)); again == nil || again.Error() != err.Error() {
				t.Errorf("%s: read again: %v, want %v", rawURL, again, err)
			}
			_ = resp.Body.Close()
		}
	}
	if got, want := (&TooLargeError{1024}).Error(), "the answer is larger than 1024 bytes (PATCHBAY_MAX_RESPONSE)"; got != want {
		t.Errorf("error: %s, want %s", got, want)
	}
}

// countNew counts connections.
func countNew(n *atomic.Int64) func(net.Conn, http.ConnState) {
	return func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			n.Add(1)
		}
	}
}

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	const callers = maxIdlePerHost
	var opened atomic.Int64
	var arrived sync.WaitGroup
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived.Done()
		arrived.Wait() // so that every caller of a round has a connection of its own
	}))
	server.Config.ConnState = countNew(&opened)
	server.Start()
	t.Cleanup(server.Close)
	l := setup(t, open("127.0.0.0/8"), nil)
	for range 3 {
		arrived.Add(callers)
		var done sync.WaitGroup
		for range callers {
			done.Go(func() {
				if got, err := get(t.Context(), l, server.URL); got != "200 " {
					t.Errorf("%q, %v", got, err)
				}
			})
		}
		done.Wait()
		// A connection is idle again a moment after its answer was read; until then a
		// caller of the next round may open one more.
	}
	if got := opened.Load(); got >= 2*callers {
		t.Errorf("%d connections for 3 rounds of %d callers", got, callers)
	}
}

func TestCloseEndsIdleConnections(t *testing.T) { //nolint:paralleltest // it looks at the goroutines of the process
	var opened atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = countNew(&opened)
	server.Start()
	t.Cleanup(server.Close)
	proxy, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	leaks := goleak.IgnoreCurrent()
	direct := newLayer(open("127.0.0.0/8"), nil, noProxy)
	proxied := newLayer(open(), nil, http.ProxyURL(proxy))
	for l, rawURL := range map[*Layer]string{direct: server.URL, proxied: "http://jira.test/"} {
		opened.Store(0)
		if got, err := get(t.Context(), l, rawURL); got != "200 " || opened.Load() != 1 {
			t.Errorf("%s: %q, %v on connection %d", rawURL, got, err, opened.Load())
		}
		l.Close()
		goleak.VerifyNone(t, leaks) // of either side of the connection
	}
}

func TestContextEndsARequest(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	server, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	l := setup(t, open("127.0.0.0/8"), nil)
	ctx, cancel := context.WithCancel(t.Context())
	traced, sent := TraceSent(ctx)
	done := make(chan error, 1)
	go func() {
		_, err := get(traced, l, server.URL)
		done <- err
	}()
	<-arrived
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || !sent.Load() {
		t.Errorf("%v, sent: %t, want it canceled after it was sent", err, sent.Load())
	}
}

func TestBlockedRequestIsNotSent(t *testing.T) {
	t.Parallel()
	l := setup(t, open(), func(string) []string { return []string{"127.0.0.1"} })
	for _, rawURL := range []string{"http://a.test/", "http://127.0.0.1/", "ftp://a.test/"} {
		ctx, sent := TraceSent(t.Context())
		if _, err := get(ctx, l, rawURL); err == nil || sent.Load() {
			t.Errorf("%s: %v, sent: %t", rawURL, err, sent.Load())
		}
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	server.Config.ErrorLog = log.New(t.Output(), "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	l := setup(t, open("127.0.0.0/8"), nil)
	if _, err := get(t.Context(), l, server.URL); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("%v, want a refusal of the protocol version", err)
	}
}

// proxied returns a Layer that goes through a proxy on a blocked address, and
// what the proxy is asked for.
func proxied(t *testing.T) (*Layer, func() []string) {
	t.Helper()
	var mu sync.Mutex
	var asked []string
	server, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.RequestURI)
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write(make([]byte, maxResponse+1))
	})
	proxy, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	l := newLayer(open(), resolver(t, func(string) []string { return []string{"127.0.0.1"} }), func(r *http.Request) (*url.URL, error) {
		switch r.URL.Hostname() {
		case "direct.test": // as NO_PROXY may say
			return nil, nil
		case "misconfigured.test":
			return nil, errors.New("invalid proxy address user:hunter2@x")
		default:
			return proxy, nil
		}
	})
	t.Cleanup(l.Close)
	return l, func() []string { mu.Lock(); defer mu.Unlock(); return asked }
}

func TestHopToTheProxyIsNotJudged(t *testing.T) {
	t.Parallel()
	l, asked := proxied(t)
	tests := []struct {
		url, want string // what the error ends in
		asked     string // of the proxy
	}{
		// Resolved by the proxy, not by us. What it answers is capped all the same.
		{"http://jira.test/x", "is larger than 65536 bytes (PATCHBAY_MAX_RESPONSE)", "GET http://jira.test/x"},
		{"https://jira.test/x", "Forbidden", "CONNECT jira.test:443"},
		// Everything else is judged.
		{"http://direct.test/", isBlocked("127.0.0.1", "loopback"), ""},
		{"http://127.0.0.1/", isBlocked("127.0.0.1", "loopback"), ""},
		{"http://[::ffff:127.0.0.1]/", isBlocked("127.0.0.1", "loopback"), ""},
		{"http://2130706433/", badName("2130706433"), ""},
		{"http://user:hunter2@jira.test/", userinfo, ""},
		{"ftp://jira.test/", scheme, ""},
		{"http://misconfigured.test/", "the environment's proxy for this URL is not a URL", ""},
	}
	for _, test := range tests {
		before := len(asked())
		_, err := get(t.Context(), l, test.url)
		if err == nil || !strings.HasSuffix(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %s", test.url, err, test.want)
		}
		if got := strings.Join(asked()[before:], ", "); got != test.asked {
			t.Errorf("%s: the proxy was asked %q, want %q", test.url, got, test.asked)
		}
	}
}

// However the choice of a transport went wrong: the unguarded one dials no
// destination.
func TestTransportOfTheProxyDialsNothingElse(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	_, port := serve(t, counted(&reached))
	l, _ := proxied(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://direct.test:"+port, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := l.viaProxy.RoundTrip(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	if err == nil || reached.Load() != 0 {
		t.Errorf("%v, %d requests arrived", err, reached.Load())
	}
}
