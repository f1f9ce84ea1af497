package api

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What is only announced keeps nobody out.
func TestBodiesThatNeverComeHoldNobodyUp(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{maxBody: 8 << 20, inFlightBytes: 64 << 20})
	b.create("a", serverLogBody)
	taken, release := b.held(".server-log")
	close(release)
	for i := range 32 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "POST /api/actions/connector/no-such-%d/_execute HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\n", i); err != nil {
			t.Fatal(err)
		}
	}
	a := b.server.admission
	for deadline := time.Now().Add(10 * time.Second); ; {
		a.mu.Lock()
		calls, bytes := a.all.calls, a.all.bytes
		a.mu.Unlock()
		if calls == 32 {
			if bytes != 32*firstRead {
				t.Errorf("%d bytes in flight, want what may come at once", bytes)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d in flight", calls)
		}
	}
	go func() { <-taken }()
	b.must(b.send("POST", "/api/actions/connector/a/_execute", executeLog), http.StatusOK)
}

func TestBodyThatFindsNoRoomIsRefusedAndLeavesNothing(t *testing.T) {
	t.Parallel()
	a := &admission{maxCalls: 10, maxBytes: 3 * firstRead, connectors: map[string]load{}}
	now := time.Now()
	other, err := a.enter("other", firstRead, now)
	if err != nil {
		t.Fatal(err)
	}
	mine, err := a.enter("mine", firstRead, now)
	if err != nil {
		t.Fatal(err)
	}
	body := strings.NewReader(strings.Repeat("x", 4*firstRead))
	n, err := io.Copy(io.Discard, &arriving{Reader: body, ticket: mine, most: 8 << 20})
	if refusal, ok := errors.AsType[*problem](err); !ok || refusal.status != http.StatusTooManyRequests || n > 2*firstRead {
		t.Errorf("%d bytes came in, %v", n, err)
	}
	mine.done(now)
	other.done(now)
	if a.all != (load{}) || len(a.connectors) > 0 {
		t.Errorf("left: %+v, %v", a.all, a.connectors)
	}
}

func TestWhatEndsAfterASilenceIsThePaceOfNow(t *testing.T) {
	t.Parallel()
	start := time.Now()
	d := drain{since: start}
	burst := start.Add(5 * time.Minute)
	for i := range 900 {
		d.count(burst.Add(time.Duration(i) * time.Millisecond))
	}
	if got := d.time(200, burst.Add(900*time.Millisecond)); got > time.Second {
		t.Errorf("wait %s, though hundreds a second end", got)
	}
}
