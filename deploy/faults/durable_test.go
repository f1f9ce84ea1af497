package faults_test

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// quick are settings with which a retry comes soon.
var quick = []string{"-retry-delay=100ms", "-max-retry-delay=1s"}

// documents waits until the cluster has written n documents to an index.
func (p *parts) documents(t *testing.T, index string, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("the cluster has %d documents in %s", n, index), func() bool { return len(p.elastic.Documents(index)) >= n })
	if got := len(p.elastic.Documents(index)); got != n {
		t.Errorf("the cluster has %d documents in %s, want %d", got, index, n)
	}
}

// Row 5: the worker dies before the cluster has taken anything.
// Row 6: the cluster has written, and the worker dies before it could say so.
func TestDurableExecutionHasOneEffectThoughItsWorkerDies(t *testing.T) {
	t.Parallel()
	for name, written := range map[string]int{"before the effect": 0, "after the effect": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := setup(t, options{workers: 1, api: quick})
			p.connector(t, "index", indexConnector)
			mend, release := func() {}, p.elastic.Hold()
			if written > 0 {
				release()
				mend = p.toElastic.disturb(t, answersVanish)
			}
			id := p.async(t, "index", document)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := p.elastic.Wait(ctx, 1); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the cluster has written what it was to", func() bool { return len(p.elastic.Documents("effects")) == written })
			p.workers[0].kill()
			release()
			mend()
			up(t, p.workers[0])
			if e := p.ended(t, id); e.Status != "done" || e.Outcome != "ok" || len(e.Attempts) < 2 {
				t.Errorf("execution: %+v, want success at a later attempt", e)
			}
			p.documents(t, "effects", 1)
		})
	}
}

// Row 8: an execution under way when the api dies, with a key and without anyone
// who waits.
func TestKeyFindsTheExecutionAfterTheApiDied(t *testing.T) {
	t.Parallel()
	p := setup(t, options{workers: 1, api: quick})
	p.connector(t, "index", indexConnector)
	cut, release := p.held(t, "Idempotency-Key: sync")
	queued := p.async(t, "index", document, "Idempotency-Key: async")
	p.api.kill()
	if a := <-cut; a.err == nil {
		t.Errorf("an answer from an api that is dead: %s", a)
	}
	release()
	up(t, p.api)
	eventually(t, "the key tells what became of it", func() bool { return p.execute("index", document, "Idempotency-Key: sync").ok() })
	if again := p.async(t, "index", document, "Idempotency-Key: async"); again != queued {
		t.Errorf("the key names execution %s after the restart, and %s before", again, queued)
	}
	if e := p.ended(t, queued); e.Outcome != "ok" {
		t.Errorf("the queued execution: %+v", e)
	}
	if a := p.execute("index", `{"documents":[{"n":2}]}`, "Idempotency-Key: sync"); a.status != 422 {
		t.Errorf("the key with another body: %s, want 422", a)
	}
	p.documents(t, "effects", 2)
}

// Row 14.
func TestFailuresAreTriedAgainAsFarAsTheyMayPass(t *testing.T) {
	t.Parallel()
	p := setup(t, options{workers: 1, api: append([]string{"-attempts=3"}, quick...)})
	for id, index := range map[string]string{"full": "status-503", "wrong": "status-400", "index": "effects"} {
		p.connector(t, id, `{"name":"n","connector_type_id":".index","config":{"index":"`+index+`"}}`)
	}
	if e := p.ended(t, p.async(t, "full", document)); e.Status != "dead" || e.Class != "exhausted" || len(e.Attempts) != 3 {
		t.Errorf("where every attempt fails: %+v, want a dead letter after 3", e)
	}
	if e := p.ended(t, p.async(t, "wrong", document)); e.Status != "dead" || e.Class != "refused" || len(e.Attempts) != 1 {
		t.Errorf("where the cluster refuses: %+v, want a dead letter after 1", e)
	}
	p.toElastic.cut()
	id := p.async(t, "index", document)
	eventually(t, "an attempt has failed", func() bool { return len(p.execution(t, id).Attempts) > 0 })
	p.toElastic.mend(t)
	if e := p.ended(t, id); e.Status != "done" || e.Outcome != "ok" {
		t.Errorf("where a later attempt succeeds: %+v", e)
	}
	p.documents(t, "effects", 1)
}

// Row 13: the cluster says when to come again, which is later than our own delay.
func TestNextAttemptIsNotBeforeTheDestinationWantsIt(t *testing.T) {
	t.Parallel()
	p := setup(t, options{workers: 1, api: quick})
	p.connector(t, "full", `{"name":"n","connector_type_id":".index","config":{"index":"status-503-in-5"}}`)
	id := p.async(t, "full", document)
	var e execution
	eventually(t, "an attempt has failed", func() bool {
		e = p.execution(t, id)
		return e.Status == "queued" && len(e.Attempts) > 0
	})
	if got := e.DueAt.Sub(e.Attempts[0].EndedAt); got < 3*time.Second || got > 6*time.Second {
		t.Errorf("the next attempt is due %s after the first, want about 5 s: %+v", got, e)
	}
}

// Row 10: who asked for an execution to be kept may leave.
func TestDurableExecutionGoesOnWithoutItsCaller(t *testing.T) {
	t.Parallel()
	p := setup(t, options{workers: 1, api: quick})
	p.connector(t, "index", indexConnector)
	release := p.elastic.Hold()
	defer release()
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan answer, 1)
	go func() {
		left <- p.do(ctx, "POST", "/api/actions/connector/index/_execute", `{"params":`+document+`}`,
			"Prefer: respond-async, wait=60", "Patchbay-Execution-Id: mine")
	}()
	if err := p.elastic.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	leave()
	if a := <-left; a.err == nil {
		t.Errorf("the caller who left got an answer: %s", a)
	}
	release()
	if e := p.ended(t, "mine"); e.Outcome != "ok" || len(e.Attempts) != 1 {
		t.Errorf("execution: %+v, want success at the first attempt", e)
	}
	p.documents(t, "effects", 1)
}

// Row 23: workers die on one execution.
func TestExecutionOnWhichWorkersDieIsParked(t *testing.T) {
	t.Parallel()
	p := setup(t, options{workers: 1, api: append([]string{"-attempts=10"}, quick...)})
	p.connector(t, "index", indexConnector)
	p.connector(t, "log", logConnector)
	release := p.elastic.Hold()
	defer release()
	poison := p.async(t, "index", document)
	for death := range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := p.elastic.Wait(ctx, death+1); err != nil {
			t.Fatalf("the cluster got no request before death %d: %v", death+1, err)
		}
		cancel()
		p.workers[0].kill()
		up(t, p.workers[0])
	}
	if e := p.ended(t, poison); e.Status != "dead" || e.Class != "poison" {
		t.Errorf("execution: %+v, want it parked as poison", e)
	}
	if e := p.ended(t, p.async(t, "log", message)); e.Outcome != "ok" {
		t.Errorf("another execution: %+v", e)
	}
	release()
	if a := p.do(t.Context(), "POST", "/api/actions/executions/"+poison+"/_replay", ""); a.status/100 != 2 {
		t.Errorf("replay: %s", a)
	}
	if e := p.ended(t, poison); e.Outcome != "ok" {
		t.Errorf("the replayed execution: %+v", e)
	}
	p.documents(t, "effects", 1)
}

// Row 26: between the acceptance and the run of an execution its connector changes.
func TestQueuedExecutionSeesItsConnectorAsItIs(t *testing.T) {
	t.Parallel()
	p := setup(t, options{workers: 1, api: quick})
	p.connector(t, "index", indexConnector)
	p.connector(t, "gone", indexConnector)
	p.workers[0].kill()
	changed, deleted := p.async(t, "index", document), p.async(t, "gone", document)
	if a := p.do(t.Context(), "PUT", "/api/actions/connector/index", `{"name":"index","config":{"index":"moved"}}`); a.status != 200 {
		t.Fatalf("update: %s", a)
	}
	if a := p.do(t.Context(), "DELETE", "/api/actions/connector/gone", ""); a.status != 204 {
		t.Fatalf("delete: %s", a)
	}
	up(t, p.workers[0])
	if e := p.ended(t, changed); e.Outcome != "ok" {
		t.Errorf("execution of the changed one: %+v", e)
	}
	if e := p.ended(t, deleted); e.Status != "dead" || e.Class != "deleted" {
		t.Errorf("execution of the deleted one: %+v, want a dead letter", e)
	}
	p.documents(t, "moved", 1)
	if got := len(p.elastic.Documents("effects")); got != 0 {
		t.Errorf("%d documents are where the connector led before", got)
	}
}
