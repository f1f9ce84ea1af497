package faults_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Row 4: whatever the broker loses, the executions are in the api's own database.
func TestQueueIsFilledAgainAfterTheBrokerHasLostIt(t *testing.T) {
	t.Parallel()
	lose := map[string]func(t *testing.T, p *parts, stream jetstream.JetStream){
		"storage wiped": func(t *testing.T, p *parts, _ jetstream.JetStream) {
			p.broker.kill()
			if err := os.RemoveAll(p.storage); err != nil {
				t.Fatal(err)
			}
			up(t, p.broker)
		},
		"stream deleted": func(t *testing.T, _ *parts, stream jetstream.JetStream) {
			if err := stream.DeleteStream(t.Context(), queueStream); err != nil {
				t.Fatal(err)
			}
		},
		"consumers deleted": func(t *testing.T, _ *parts, stream jetstream.JetStream) {
			s, err := stream.Stream(t.Context(), queueStream)
			if err != nil {
				t.Fatal(err)
			}
			for name := range s.ConsumerNames(t.Context()).Name() {
				if err := s.DeleteConsumer(t.Context(), name); err != nil {
					t.Fatal(err)
				}
			}
		},
	}
	for what, lose := range lose {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			const n = 50
			p := setup(t, options{workers: 1, api: quick})
			_, stream := p.observe(t)
			p.connector(t, "index", indexConnector)
			p.async(t, "index", document)
			p.documents(t, "effects", 1)
			p.workers[0].kill()
			for range n {
				p.async(t, "index", document)
			}
			lose(t, p, stream)
			up(t, p.workers[0])
			p.documents(t, "effects", 1+n)
			p.drain(t)
			// A line for what was lost and for what is there again, not one for every attempt.
			if lines := bytes.Count(p.api.said(), []byte(`"level":"WARN"`)) + bytes.Count(p.api.said(), []byte(`"level":"ERROR"`)); lines > 20 {
				t.Errorf("the api wrote %d warnings", lines)
			}
		})
	}
}

// Row 21: the broker delivers what was done already.
func TestTicketThatComesAgainRunsNothing(t *testing.T) {
	t.Parallel()
	p := setup(t, options{workers: 1, api: quick})
	nc, _ := p.observe(t)
	p.connector(t, "index", indexConnector)
	for range 3 {
		p.ended(t, p.async(t, "index", document))
	}
	eventually(t, "the broker can be reached", nc.IsConnected)
	for range 5 {
		if err := nc.Publish("patchbay.v1.queue.index", []byte(`{"seqs":[1,2,3]}`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	requests := p.elastic.Requests()
	p.ended(t, p.async(t, "index", document)) // it stands behind them
	if got := p.elastic.Requests() - requests; got != 1 {
		t.Errorf("the cluster got %d requests, want 1", got)
	}
	p.documents(t, "effects", 4)
}

// Row 20, of a durable execution: what the broker does not take is never queued
// for ever.
func TestQueuedExecutionOverTheBrokersLimitDoesNotStayInTheQueue(t *testing.T) {
	t.Parallel()
	p := setup(t, options{workers: 1, api: quick, broker: []string{"max_payload: 8MB", "max_payload: 64KB"}})
	p.connector(t, "index", indexConnector)
	a := p.execute("index", `{"documents":[{"text":"`+strings.Repeat("x", 100<<10)+`"}]}`, "Prefer: respond-async")
	if a.status == 413 {
		return
	}
	if a.status != 202 {
		t.Fatalf("execute: %s, want 413 or 202", a)
	}
	if e := p.ended(t, a.header.Get("Patchbay-Execution-Id")); e.Status != "dead" || e.Class != "too_large" {
		t.Errorf("execution: %+v, want a dead letter that says it is too large", e)
	}
	if e := p.ended(t, p.async(t, "index", document)); e.Outcome != "ok" {
		t.Errorf("another execution: %+v", e)
	}
}

// Row 24: everyone comes at once when the broker is back.
func TestOutageEndsWithoutAStorm(t *testing.T) {
	t.Parallel()
	const callers = 500
	p := setup(t, options{workers: 2})
	p.connector(t, "index", indexConnector)
	p.broker.kill()
	// What is sent before the api sees that has an unknown outcome, and rightly.
	eventually(t, "the api knows that the broker is away", func() bool { return p.get("/readyz").status == 503 })
	answered := make(chan answer, callers)
	var refused atomic.Int64
	for n := range callers {
		go func() {
			for {
				a := p.execute("index", document, fmt.Sprint("Idempotency-Key: ", n))
				if a.err != nil || a.status != 503 && a.status != 429 {
					answered <- a
					return
				}
				refused.Add(1)
				time.Sleep(again) // sooner than they are asked to
			}
		}()
	}
	eventually(t, "callers are told to come again", func() bool { return refused.Load() >= callers })
	up(t, p.broker)
	for range callers {
		if a := <-answered; !a.ok() {
			t.Errorf("answer: %s", a)
		}
	}
	p.documents(t, "effects", callers)
	if got := p.elastic.Connections(); got > 2*8 {
		t.Errorf("the cluster had %d connections, want at most as many as requests at once", got)
	}
}
