package faults_test

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// execution is what the api tells of one.
type execution struct {
	ID          string    `json:"id"`
	ConnectorID string    `json:"connector_id"`
	Status      string    `json:"status"`
	Class       string    `json:"error_class"`
	Outcome     string    `json:"outcome"`
	DueAt       time.Time `json:"due_at"`
	Attempts    []attempt `json:"attempts"`
}

// attempt is one run of it.
type attempt struct {
	Outcome string    `json:"outcome"`
	EndedAt time.Time `json:"ended_at"`
}

// async asks for an execution and returns its id once it is accepted.
func (p *parts) async(t *testing.T, connector, params string, headers ...string) string {
	t.Helper()
	a := p.execute(connector, params, append([]string{"Prefer: respond-async"}, headers...)...)
	if a.status != 202 {
		t.Fatalf("execute %s: %s, want 202", connector, a)
	}
	return a.header.Get("Patchbay-Execution-Id")
}

// execution returns what the api tells of one.
func (p *parts) execution(t *testing.T, id string) execution {
	t.Helper()
	a := p.get("/api/actions/executions/" + id)
	var e execution
	if err := json.Unmarshal([]byte(a.body), &e); a.status != 200 || err != nil {
		t.Fatalf("execution %s: %s %v", id, a, err)
	}
	return e
}

// ended waits until an execution is done or dead.
func (p *parts) ended(t *testing.T, id string) execution {
	t.Helper()
	var e execution
	eventually(t, "execution "+id+" ends", func() bool {
		e = p.execution(t, id)
		return e.Status == "done" || e.Status == "dead"
	})
	return e
}

// executions returns all durable ones with a status.
func (p *parts) executions(t *testing.T, status string) []execution {
	t.Helper()
	var all []execution
	for next := ""; ; {
		a := p.get("/api/actions/executions?durable=true&per_page=1000&status=" + status + "&page=" + url.QueryEscape(next))
		var page struct {
			Executions []execution `json:"executions"`
			Next       string      `json:"next_page"`
		}
		if err := json.Unmarshal([]byte(a.body), &page); a.status != 200 || err != nil {
			t.Fatalf("executions: %s %v", a, err)
		}
		all = append(all, page.Executions...)
		if next = page.Next; next == "" {
			return all
		}
	}
}

// settle waits until the queue is empty, replays the dead letters, and finds
// every execution that was accepted.
func (p *parts) settle(t *testing.T, b *book, stream jetstream.JetStream) {
	t.Helper()
	p.ready(t)
	p.taken(t, stream)
	p.drain(t)
	dead := p.executions(t, "dead")
	classes := make(map[string]int)
	for _, e := range dead {
		classes[e.Class]++
	}
	t.Logf("dead letters: %v", classes)
	finished := len(p.executions(t, "done"))
	least := b.count(accepted)
	if got := finished + len(dead); got < least || got > least+b.count(doubtful) {
		t.Errorf("%d finished and %d dead executions, %d were accepted and %d perhaps", finished, len(dead), least, b.count(doubtful))
	}
	if a := p.do(t.Context(), "POST", "/api/actions/executions/_replay", `{}`); a.status != 200 {
		t.Fatalf("replay: %s", a)
	}
	p.drain(t)
	if dead := p.executions(t, "dead"); len(dead) > 0 {
		t.Errorf("%d executions are dead after a replay, such as %+v", len(dead), dead[0])
	}
	for marker, id := range b.ids {
		if a := p.get("/api/actions/executions/" + id); a.status != 200 || !strings.Contains(a.body, `"done"`) {
			t.Errorf("execution %s of %s: %s", id, marker, a)
			return
		}
	}
}

// taken waits until the api has accepted what was submitted to the broker.
func (p *parts) taken(t *testing.T, stream jetstream.JetStream) {
	t.Helper()
	eventually(t, "the api has taken what was submitted", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s, err := stream.Stream(ctx, submitStream)
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
}

// drain waits until nothing is queued or running.
func (p *parts) drain(t *testing.T) {
	t.Helper()
	// In one question: what runs may be queued again between two.
	eventually(t, "the queue is empty", func() bool { return len(p.executions(t, "queued&status=running")) == 0 })
}
