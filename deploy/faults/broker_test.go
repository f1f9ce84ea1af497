package faults_test

import (
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	logConnector   = `{"name":"log","connector_type_id":".server-log"}`
	indexConnector = `{"name":"index","connector_type_id":".index","config":{"index":"effects"}}`

	message  = `{"message":"m"}`
	document = `{"documents":[{"n":1}]}`
)

// Row 1.
func TestNobodyWaitsForAWorkerThatIsNotThere(t *testing.T) {
	t.Parallel()
	p := setup(t, options{})
	p.connector(t, "log", logConnector)
	began := time.Now()
	a := p.execute("log", message)
	if a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("execute without a worker: %s, want 503 with Retry-After", a)
	}
	if took := time.Since(began); took > 10*time.Second { // the deadline is at 60 s
		t.Errorf("it took %s", took)
	}
}

// Row 2.
func TestIdleProgramsComeBackAfterARestartOfTheBroker(t *testing.T) {
	t.Parallel()
	p := setup(t, options{workers: 1})
	p.connector(t, "log", logConnector)
	p.broker.kill()
	eventually(t, "readiness is off", func() bool { return p.get("/readyz").status == 503 })
	if a := p.execute("log", message); a.status != 503 {
		t.Errorf("execute without a broker: %s, want 503", a)
	}
	up(t, p.broker)
	p.ready(t)
	if a := p.execute("log", message); !a.ok() {
		t.Errorf("execute after the restart: %s", a)
	}
}

// Row 3.
func TestCallersAreAnsweredWhenTheBrokerDies(t *testing.T) {
	t.Parallel()
	const callers = 20
	p := setup(t, options{workers: 1})
	p.connector(t, "index", indexConnector)
	release := p.elastic.Hold()
	defer release()
	answers := make(chan answer, callers)
	var calling sync.WaitGroup
	defer calling.Wait()
	for range callers {
		calling.Go(func() { answers <- p.execute("index", document) })
	}
	if err := p.elastic.Wait(t.Context(), 4); err != nil { // as many requests as a worker has under way
		t.Fatal(err)
	}
	died := time.Now()
	p.broker.kill()
	for range callers {
		// A caller whose execution had not been sent on is told that nothing was run.
		if a := <-answers; a.outcome() != "unknown" && a.status != 503 {
			t.Errorf("answer to a caller: %s, want unknown", a)
		} else if a.outcome() == "unknown" && !strings.Contains(a.body, `"retry":false`) {
			t.Errorf("advice to a caller: %s, want not to try again", a)
		}
	}
	if took := time.Since(died); took > 20*time.Second { // the deadline is at 60 s
		t.Errorf("the last was answered %s after the broker died", took)
	}
	release()
	up(t, p.broker)
	eventually(t, "executions work again", func() bool { return p.execute("index", document).ok() })
}
