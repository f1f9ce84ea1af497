package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/api/access"
	"patchbay.dev/shared/wire"
)

func newTestAdmission(t *testing.T, calls int, bytes int64) *admission {
	t.Helper()
	a, err := newAdmission(&Config{MaxInFlight: calls, MaxInFlightBytes: bytes})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestExecutionsInFlightAreBounded(t *testing.T) {
	t.Parallel()
	const size = 10
	for _, test := range []struct {
		calls           int
		bytes           int64
		alone, together int // of one connector, and of many
	}{
		{1, 1000, 1, 1},
		{2, 1000, 2, 2},
		{16, 1000, 9, 16},
		{1000, 10, 1, 1},
		{1000, 9, 0, 0},
		{1000, 160, 9, 16},
		{1000, 169, 9, 16},
		{0, 160, 9, 16}, // no bound
		{16, 0, 9, 16},
	} {
		for want, name := range map[*int]func(int) string{
			&test.alone: func(int) string { return "c" }, &test.together: func(i int) string { return fmt.Sprint(i) },
		} {
			a, got := newTestAdmission(t, test.calls, test.bytes), 0
			var tickets []*ticket
			for i := range 100 {
				if ticket, err := a.enter(name(i), size, time.Now()); err == nil {
					got, tickets = got+1, append(tickets, ticket)
				}
			}
			if got != *want {
				t.Errorf("%+v: %d got in, want %d", test, got, *want)
			}
			for _, ticket := range tickets {
				ticket.done(time.Now())
			}
			if a.all != (load{}) || len(a.connectors) > 0 {
				t.Errorf("%+v: left: %+v, %v", test, a.all, a.connectors)
			}
		}
	}
}

func TestSizeOfARequestIsCorrected(t *testing.T) {
	t.Parallel()
	a, now := newTestAdmission(t, 10, 100), time.Now()
	first, err := a.enter("a", 100, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.enter("b", 1, now); err == nil {
		t.Error("more bytes than may be got in")
	}
	first.came(40)
	second, err := a.enter("b", 60, now)
	if err != nil {
		t.Fatal(err)
	}
	first.done(now)
	second.done(now)
	if a.all != (load{}) || len(a.connectors) > 0 {
		t.Errorf("left: %+v, %v", a.all, a.connectors)
	}
}

func TestBoundMustTakeOneRequest(t *testing.T) {
	t.Parallel()
	if _, err := newAdmission(&Config{MaxBody: 11, MaxInFlightBytes: 10}); err == nil || !strings.Contains(err.Error(), "PATCHBAY_MAX_IN_FLIGHT_BYTES") {
		t.Errorf("error %v, want it to name the setting", err)
	}
}

func TestRetryAfterIsTheTimeToDrain(t *testing.T) {
	t.Parallel()
	start := time.Now()
	for _, test := range []struct {
		name   string
		ended  []int // in each second
		after  time.Duration
		inLine int
		want   time.Duration
	}{
		{"nothing is known yet", nil, time.Second / 2, 100, 0},
		{"nothing ends", nil, 2 * time.Second, 100, maxDrain},
		{"10 a second", []int{10}, time.Second, 100, 10 * time.Second},
		{"the last second counts half", []int{10, 30}, 2 * time.Second, 100, 5 * time.Second},
		{"it is slow", []int{1}, time.Second, 100, maxDrain},
		{"it is fast", []int{10_000}, time.Second, 100, 10 * time.Millisecond},
		{"it came to a stop", []int{64, 0, 0, 0}, 4 * time.Second, 40, 5 * time.Second}, // 64, 32, 16, 8 a second
	} {
		d := drain{since: start}
		for second, n := range test.ended {
			end := start.Add(time.Duration(second+1) * time.Second)
			for range n {
				d.count(end.Add(-time.Nanosecond))
			}
			d.roll(end)
		}
		if got := d.time(test.inLine, start.Add(test.after)); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// held is a stand-in for a worker that takes executions and answers when it is told.
func (b *bundle) held(typeID string) (taken chan string, release chan struct{}) {
	taken, release = make(chan string, 1000), make(chan struct{})
	b.subscribe(typeID, func(msg *nats.Msg) {
		var request wire.Request
		if err := json.Unmarshal(msg.Data, &request); err != nil {
			b.Error(err)
		}
		taken <- request.Connector.ID
		if request.Connector.ID == "healthy" {
			_ = msg.Respond([]byte(`{}`))
			return
		}
		go func() {
			<-release
			_ = msg.Respond([]byte(`{}`))
		}()
	})
	return taken, release
}

func TestTooManyExecutionsInFlightAreRefused(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{maxInFlight: 16})
	b.create("hanging", serverLogBody)
	b.create("healthy", serverLogBody)
	taken, release := b.held(".server-log")
	answers := make(chan answer, 9)
	for range cap(answers) {
		go func() { answers <- b.send("POST", "/api/actions/connector/hanging/_execute", executeLog) }()
		<-taken
	}
	for range 20 {
		refused := b.send("POST", "/api/actions/connector/hanging/_execute", executeLog)
		b.wantError(refused, http.StatusTooManyRequests,
			"There are as many executions in flight as there may be, in all or for this connector. Nothing was run.")
		if refused.header.Get("Retry-After") == "" || refused.header.Get(headerOutcome) != "error" || refused.header.Get(headerExecutionID) == "" {
			t.Errorf("headers %v", refused.header)
		}
		b.must(b.send("POST", "/api/actions/connector/healthy/_execute", executeLog), http.StatusOK)
		<-taken
	}
	b.must(b.send("POST", "/api/actions/action/hanging/_execute", executeLog), http.StatusTooManyRequests) // the deprecated route
	b.must(b.send("GET", "/api/actions/connectors", ""), http.StatusOK)                                    // only executions count
	if len(taken) > 0 {
		t.Errorf("%d refused executions were run", len(taken))
	}
	close(release)
	for range cap(answers) {
		b.must(<-answers, http.StatusOK)
	}
	b.must(b.send("POST", "/api/actions/connector/hanging/_execute", executeLog), http.StatusOK)
}

// Neither bound takes from the other what it refuses.
func TestExecutionThatOneBoundRefusesCountsForNone(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{maxInFlight: 2, maxRunning: 2})
	carry := b.key(access.Privileges{All: []string{"*"}})
	b.must(b.send("POST", "/api/actions/connector/a", serverLogBody, carry), http.StatusOK)
	taken, release := b.held(".server-log")
	answers := make(chan answer, 2)
	for range cap(answers) {
		go func() { answers <- b.send("POST", "/api/actions/connector/a/_execute", executeLog, carry) }()
		<-taken
	}
	for range 5 {
		b.wantError(b.send("POST", "/api/actions/connector/a/_execute", executeLog, carry), http.StatusTooManyRequests,
			"This API key may have 2 executions running at once. Nothing was run.")
		other := b.key(access.Privileges{All: []string{"*"}})
		b.wantError(b.send("POST", "/api/actions/connector/a/_execute", executeLog, other), http.StatusTooManyRequests,
			"There are as many executions in flight as there may be, in all or for this connector. Nothing was run.")
	}
	close(release)
	for range cap(answers) {
		b.must(<-answers, http.StatusOK)
	}
	b.must(b.send("POST", "/api/actions/connector/a/_execute", executeLog, carry), http.StatusOK)
	if all := b.server.admission.all; all != (load{}) {
		t.Errorf("left: %+v", all)
	}
}

// A body of unknown length counts as the largest until it is there.
func TestBodyWithoutALengthIsCounted(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{maxBody: 1000, inFlightBytes: 1500})
	b.create("a", serverLogBody)
	taken, release := b.held(".server-log")
	defer close(release)
	body, write := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/api/actions/connector/a/_execute", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			err = response.Body.Close()
		}
		_ = err // the server is closed with the request under way
	}()
	if _, err := io.WriteString(write, executeLog[:10]); err != nil {
		t.Fatal(err)
	}
	larger := strings.Replace(executeLog, "{", "{"+strings.Repeat(" ", 600), 1)
	inFlight := func() load {
		b.server.admission.mu.Lock()
		defer b.server.admission.mu.Unlock()
		return b.server.admission.all
	}
	for deadline := time.Now().Add(10 * time.Second); inFlight() == (load{}); {
		if time.Now().After(deadline) {
			t.Fatal("the body that is under way does not count")
		}
	}
	if got, want := inFlight(), (load{1, 1000}); got != want {
		t.Errorf("in flight while the body is under way: %+v, want %+v", got, want)
	}
	b.must(b.sendBad("POST", "/api/actions/connector/b/_execute", larger), http.StatusTooManyRequests)
	if _, err := io.WriteString(write, executeLog[10:]); err != nil {
		t.Fatal(err)
	}
	write.Close()
	<-taken
	if got, want := inFlight(), (load{1, int64(len(executeLog))}); got != want {
		t.Errorf("in flight when it is there: %+v, want %+v", got, want)
	}
	b.must(b.sendBad("POST", "/api/actions/connector/b/_execute", larger), http.StatusNotFound) // and was let in
}

// A worker that needs its time for each would seem dead to those behind a long queue:
// what waits longer than a few seconds counts as lost.
func TestFloodOfLargeExecutionsHasNoFalseUnknown(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{inFlightBytes: 4 << 20, timeout: time.Minute})
	b.create("a", serverLogBody)
	reading := time.NewTicker(15 * time.Millisecond)
	defer reading.Stop()
	b.subscribe(".server-log", func(msg *nats.Msg) {
		<-reading.C
		if err := msg.Respond([]byte(`{}`)); err != nil {
			t.Error(err)
		}
	})
	large := []byte(`{"params":{"message":"` + strings.Repeat("x", 64<<10) + `"}}`)
	var mu sync.Mutex
	outcomes := make(map[string]int)
	var callers sync.WaitGroup
	for range 400 { // six seconds of reading
		callers.Go(func() {
			response, err := http.Post(b.url+"/api/actions/connector/a/_execute", "application/json", bytes.NewReader(large))
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			_, _ = io.Copy(io.Discard, response.Body)
			mu.Lock()
			defer mu.Unlock()
			outcomes[fmt.Sprint(response.StatusCode, " ", response.Header.Get(headerOutcome))]++
		})
	}
	callers.Wait()
	if outcomes["200 ok"] < 20 || outcomes["200 ok"]+outcomes["429 error"] != 400 {
		t.Errorf("outcomes %v, want ok and refused ones only", outcomes)
	}
}

func BenchmarkAdmission(b *testing.B) {
	a, err := newAdmission(&Config{MaxInFlight: 4096, MaxInFlightBytes: 256 << 20})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		ticket, err := a.enter("c55b6eb0-6bad-11eb-9f3b-611eebc6c3ad", 100, time.Now())
		if err != nil {
			b.Fatal(errors.Unwrap(err))
		}
		ticket.done(time.Now())
	}
}
