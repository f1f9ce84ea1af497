package api

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ask returns the status and body of an answer; 0 if there was none.
func ask(t *testing.T, client *http.Client, method, url string, body io.Reader, edits ...func(*http.Request)) (int, string) {
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		return 0, err.Error()
	}
	for _, edit := range edits {
		edit(request)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil || response.ProtoMajor != 2 {
		return 0, response.Proto + " " + errors.Join(err).Error()
	}
	return response.StatusCode, string(data)
}

// Both go over one connection: the time for a body ends one stream and not the
// other, and the execution outlives it.
func TestTimeForABodyIsEachRequestsOwn(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, 0)
	arrived, release := held(t, connect(t, broker))
	config := withTLS(t, newPair(t, 1))
	config.ReadTimeout = 100 * time.Millisecond
	r := run(t, config, connect(t, broker))
	client := http2Client(t)
	connectors := r.url + "/api/actions/connector"
	if status, body := ask(t, client, "POST", connectors+"/a", strings.NewReader(serverLogBody)); status != http.StatusOK {
		t.Fatal(status, body)
	}
	executed := make(chan string, 1)
	go func() {
		_, body := ask(t, client, "POST", connectors+"/a/_execute", strings.NewReader(executeLog))
		executed <- body
	}()
	await(t, arrived)

	slow, w := io.Pipe()
	defer slow.Close()
	go func() { // as slowly as it takes
		for _, err := io.WriteString(w, "{"); err == nil; _, err = io.WriteString(w, " ") {
			<-time.After(10 * time.Millisecond)
		}
	}()
	status, body := ask(t, client, "POST", connectors, slow)
	if diff := cmp.Diff(envelope(http.StatusBadRequest, "The request body did not arrive within 100ms."), body); diff != "" || status != http.StatusBadRequest {
		t.Errorf("slow body: status %d (-want +got):\n%s", status, diff)
	}
	release()
	if got, want := await(t, executed), `{"connector_id":"a","status":"ok"}`; got != want {
		t.Errorf("execution got %s, want %s", got, want)
	}
}

func TestOtherWebSitesAreRefusedOverTLS(t *testing.T) {
	t.Parallel()
	r := run(t, withTLS(t, newPair(t, 1)), connect(t, startBroker(t, 0)))
	client := http2Client(t)
	for _, test := range []struct {
		name, value string
		want        int
	}{
		{"Sec-Fetch-Site", "cross-site", http.StatusForbidden},
		{"Sec-Fetch-Site", "same-site", http.StatusForbidden},
		{"Origin", "https://evil.example", http.StatusForbidden},
		{"Origin", "null", http.StatusForbidden},
		{"Sec-Fetch-Site", "same-origin", http.StatusOK},
		{"Origin", r.url, http.StatusOK},
	} {
		status, body := ask(t, client, "POST", r.url+"/api/actions/connector", strings.NewReader(serverLogBody), header(test.name, test.value))
		if status != test.want {
			t.Errorf("%s %s: %d %s, want %d", test.name, test.value, status, body, test.want)
		}
	}
	status, body := ask(t, client, "GET", r.url+"/healthz", nil, func(r *http.Request) { r.Host = "evil.example" })
	if status != http.StatusForbidden {
		t.Errorf("foreign name on loopback: %d %s, want 403", status, body)
	}
}

// stuckConn is a connection whose client stops to read at some moment.
type stuckConn struct {
	net.Conn
	stuck chan struct{}
}

func (c *stuckConn) Read(p []byte) (int, error) {
	select {
	case <-c.stuck:
		select {} // for ever, until the test binary ends
	default:
		return c.Conn.Read(p)
	}
}

// Streams can be reset one by one only while their client reads.
func TestHTTP2ClientThatReadsNothingIsCutOff(t *testing.T) {
	t.Parallel()
	for name, readsFrames := range map[string]bool{"does not take the body": true, "does not read at all": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := withTLS(t, newPair(t, 1))
			nc := connect(t, startBroker(t, 0))
			fill(t, config.DataDir, nc)
			config.ReadTimeout, config.ExecuteTimeout, config.WriteTimeout = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
			r := run(t, config, nc)
			stuck := make(chan struct{})
			transport := &http.Transport{ForceAttemptHTTP2: true, DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				t.Cleanup(func() { conn.Close() })
				if !readsFrames {
					if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
						return nil, err
					}
				}
				c := anyServer()
				c.NextProtos = []string{"h2"}
				secure := tls.Client(&stuckConn{conn, stuck}, c)
				return secure, secure.HandshakeContext(ctx)
			}}
			response, err := (&http.Client{Transport: transport}).Get(r.url + "/api/actions/connectors")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if !readsFrames {
				close(stuck)
			}
			r.stop()
			if err := await(t, r.ended); err != nil {
				t.Errorf("run: %v, want no request that still ran", err)
			}
		})
	}
}
