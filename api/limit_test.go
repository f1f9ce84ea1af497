package api

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/api/access"
	"patchbay.dev/shared/wire"
)

func TestRequestsOfOneKeyAreLimited(t *testing.T) {
	t.Parallel()
	const limit = 3
	u := keyLimits{requests: limit, executions: 1}.usage()
	now := time.Now()
	for range limit {
		if err := u.request(now); err != nil {
			t.Fatal(err)
		}
	}
	p, ok := errors.AsType[*problem](u.request(now))
	if !ok || p.status != http.StatusTooManyRequests || p.retryAfter != time.Second || p.message != "This API key may send 3 requests per second." {
		t.Errorf("refusal %+v", p)
	}
	if err := u.request(now.Add(time.Second/limit + time.Millisecond)); err != nil {
		t.Errorf("a third of a second later: %v", err)
	}
}

func TestLimitsOfOneKeyDoNotHoldForAnother(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{maxRate: 1})
	one, other := b.key(access.Privileges{Read: []string{"*"}}), b.key(access.Privileges{Read: []string{"*"}})
	b.must(b.send("GET", "/api/actions/connectors", "", one), http.StatusOK)
	refused := b.send("POST", "/api/actions/connector/a/_execute", executeLog, one)
	b.wantError(refused, http.StatusTooManyRequests, "This API key may send 1 requests per second.")
	if refused.header.Get("Retry-After") != "1" || refused.header.Get(headerOutcome) != "error" {
		t.Errorf("headers %v", refused.header)
	}
	b.must(b.send("GET", "/api/actions/connectors", "", other), http.StatusOK)
}

func TestExecutionsOfOneKeyAtOnceAreLimited(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{maxRunning: 2})
	carry := b.key(access.Privileges{All: []string{"*"}})
	b.must(b.send("POST", "/api/actions/connector/a", serverLogBody, carry), http.StatusOK)
	taken, release := make(chan struct{}), make(chan struct{})
	b.subscribe(".server-log", func(msg *nats.Msg) {
		taken <- struct{}{}
		go func() {
			<-release
			if err := msg.Respond([]byte(`{}`)); err != nil {
				t.Error(err)
			}
		}()
	})
	execute := func() answer { return b.send("POST", "/api/actions/connector/a/_execute", executeLog, carry) }
	answers := make(chan answer, 2)
	for range 2 {
		go func() { answers <- execute() }()
		<-taken
	}
	b.wantError(execute(), http.StatusTooManyRequests, "This API key may have 2 executions running at once. Nothing was run.")
	b.must(b.send("GET", "/api/actions/connectors", "", carry), http.StatusOK) // only executions count
	close(release)
	for range 2 {
		b.must(<-answers, http.StatusOK)
	}
	go func() { <-taken }()
	b.must(execute(), http.StatusOK)
}

// Without keys there is nobody to count for.
func TestServerWithoutKeysHasNoLimits(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{maxRate: 1, maxRunning: 1})
	b.work(".server-log", func(wire.Request, nats.Header) wire.Reply { return wire.Reply{} })
	b.create("a", serverLogBody)
	for range 5 {
		b.must(b.send("POST", "/api/actions/connector/a/_execute", executeLog), http.StatusOK)
	}
}
