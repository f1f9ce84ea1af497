package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// again is how long a producer waits before it asks again, and between executions.
const again = 20 * time.Millisecond

// producer makes executions and writes down what it is told.
type producer struct {
	client
	book *book
	rng  *rand.Rand
}

// some returns a marker of a new execution, its connector and its params.
func (p *producer) some() (marker, connector, params string) {
	switch n := p.rng.IntN(10); {
	case n == 0:
		marker = p.book.marker("jira")
		return marker, "jira", `{"subAction":"pushToService","subActionParams":{"incident":{"summary":"` + marker + `"},"comments":[]}}`
	case n <= 2:
		marker = p.book.marker("log")
		return marker, "log", `{"message":"` + marker + `"}`
	default:
		marker = p.book.marker("index")
		return marker, "index", `{"documents":[{"marker":"` + marker + `"}]}`
	}
}

// run calls ask one time after another until stop is closed.
func (p *producer) run(stop <-chan struct{}, ask func()) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(again): // as a producer does that is not in a hurry
			ask()
		}
	}
}

// insist calls try until it is true, or ctx ends: then nobody knows.
func (p *producer) insist(ctx context.Context, marker string, try func() bool) {
	for !try() {
		select {
		case <-ctx.Done():
			p.book.write(marker, doubtful, "", "nothing in time")
			return
		case <-time.After(again):
		}
	}
}

// keyed asks for an execution under a key until it is accepted, as a careful
// producer does.
func (p *producer) keyed(ctx context.Context) {
	marker, connector, params := p.some()
	p.insist(ctx, marker, func() bool {
		a := p.execute(connector, params, "Prefer: respond-async", "Idempotency-Key: "+marker)
		told := a.err == nil && (a.status == 202 || a.status == 200)
		if told {
			p.book.write(marker, accepted, a.header.Get("Patchbay-Execution-Id"), a.String())
		}
		return told
	})
}

// bare asks once, without a key.
func (p *producer) bare(context.Context) {
	marker, connector, params := p.some()
	switch a := p.execute(connector, params, "Prefer: respond-async"); {
	case a.lost():
		p.book.write(marker, doubtful, "", a.String())
	case a.status == 202:
		p.book.write(marker, accepted, a.header.Get("Patchbay-Execution-Id"), a.String())
	default:
		p.book.write(marker, refused, "", a.String())
	}
}

// plain asks once, without a key, and waits for what comes of it: the truth.
func (p *producer) plain(context.Context) {
	marker, connector, params := p.some()
	switch a := p.execute(connector, params); {
	case a.lost(), a.outcome() == "unknown", strings.Contains(a.body, "was created."): // what failed came after that
		p.book.write(marker, doubtful, "", a.String())
	case a.ok():
		p.book.write(marker, answered, "", a.String()) // a log that is written later may lack it
	default:
		p.book.write(marker, refused, "", a.String())
	}
}

// waiting asks under a key and waits for what comes of it, until it went well.
func (p *producer) waiting(ctx context.Context) {
	marker, connector, params := p.some()
	p.insist(ctx, marker, func() bool {
		a := p.execute(connector, params, "Idempotency-Key: "+marker)
		if a.err == nil && a.ok() {
			p.book.write(marker, answered, a.header.Get("Patchbay-Execution-Id"), a.String())
			return true
		}
		return false
	})
}

// bulkLine is one line of a bulk, and of its answer.
type bulkLine struct {
	Line        int    `json:"line"`
	ExecutionID string `json:"execution_id"`
	Status      string `json:"status"`
	Known       bool   `json:"known"`
}

// bulk sends some lines, each second one with a key. Those with one are sent again
// until they are accepted.
func (p *producer) bulk(ctx context.Context) {
	lines := make(map[string]string) // by marker
	keyed := make(map[string]bool)
	for n := range 1 + p.rng.IntN(20) {
		marker, connector, params := p.some()
		key := ""
		if keyed[marker] = n%2 == 0; keyed[marker] {
			key = `,"key":"` + marker + `"`
		}
		lines[marker] = `{"id":"` + connector + `","params":` + params + key + "}\n"
	}
	for len(lines) > 0 {
		p.sendBulk(lines, keyed)
		select {
		case <-ctx.Done():
			for marker := range lines {
				p.book.write(marker, doubtful, "", "nothing in time")
			}
			return
		case <-time.After(again):
		}
	}
}

// sendBulk sends lines once and takes those away that are not to be sent again.
func (p *producer) sendBulk(lines map[string]string, keyed map[string]bool) {
	var body strings.Builder
	markers := slices.Sorted(maps.Keys(lines))
	for _, marker := range markers {
		body.WriteString(lines[marker])
	}
	a := p.do(context.Background(), "POST", "/api/actions/_bulk_execute", body.String(), "Content-Type: application/x-ndjson")
	told := make(map[int]bulkLine)
	for text := range strings.Lines(a.body) { // what came before the connection broke counts
		var l bulkLine
		if json.Unmarshal([]byte(text), &l) == nil {
			told[l.Line] = l
		}
	}
	for n, marker := range markers {
		result := told[n+1]
		switch {
		case result.Status == "queued", result.Known:
			p.book.write(marker, accepted, result.ExecutionID, "in bulk")
		case keyed[marker]:
			continue
		case result.Status == "refused", a.status != 200 && !a.lost():
			p.book.write(marker, refused, "", "in bulk: "+a.String())
		default:
			p.book.write(marker, doubtful, "", "in bulk: "+a.String())
		}
		delete(lines, marker)
	}
}

// submitter publishes executions to the broker. They are lost with its storage
// until the api has them, so that nobody wipes it while one of them is there.
type submitter struct {
	producer
	stream jetstream.JetStream
	wiping *sync.RWMutex // held to write by who wipes the storage
}

// submit publishes one, under a key, until the broker confirms it.
func (s *submitter) submit(ctx context.Context) {
	marker, connector, params := s.some()
	msg := nats.NewMsg("patchbay.v1.submit.default")
	msg.Data = fmt.Appendf(nil, `{"id":%q,"params":%s}`, connector, params)
	msg.Header.Set(nats.MsgIdHdr, marker)
	s.insist(ctx, marker, func() bool {
		s.wiping.RLock()
		defer s.wiping.RUnlock()
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		ack, err := s.stream.PublishMsg(ctx, msg)
		if err != nil {
			return false
		}
		s.book.write(marker, accepted, "", fmt.Sprintf("submitted, sequence %d, duplicate %t", ack.Sequence, ack.Duplicate))
		return true
	})
}

// observe connects to the broker as the test's own user, who may do everything.
func (p *parts) observe(t *testing.T) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	return p.connect(t, nats.UserInfo("test", "test"))
}

// submitting connects to the broker as a producer.
func (p *parts) submitting(t *testing.T) jetstream.JetStream {
	t.Helper()
	key, err := nats.NkeyOptionFromSeed(p.seed("producer"))
	if err != nil {
		t.Fatal(err)
	}
	_, js := p.connect(t, key)
	return js
}

func (p *parts) connect(t *testing.T, user nats.Option) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect("nats://"+p.address, user, nats.MaxReconnects(-1), nats.ReconnectWait(again),
		nats.ReconnectBufSize(-1), nats.RetryOnFailedConnect(true))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}
