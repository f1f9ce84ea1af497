package faults_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// held begins an execution that the cluster has and does not answer, and returns
// where its answer will be.
func (p *parts) held(t *testing.T, headers ...string) (answered <-chan answer, release func()) {
	t.Helper()
	release = p.elastic.Hold()
	t.Cleanup(release)
	answers := make(chan answer, 1)
	seen := p.elastic.Requests()
	go func() { answers <- p.execute("index", document, headers...) }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.elastic.Wait(ctx, seen+1); err != nil {
		t.Fatalf("the cluster got nothing: %v", err)
	}
	return answers, release
}

// Row 5: the worker dies before the cluster has taken anything.
// Row 6: the cluster has written, and the worker dies before it could say so.
func TestCallerIsToldThatNobodyKnowsWhenAWorkerDies(t *testing.T) {
	t.Parallel()
	for name, written := range map[string]int{"before the effect": 0, "after the effect": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := setup(t, options{workers: 1})
			p.connector(t, "index", indexConnector)
			if written > 0 {
				p.toElastic.disturb(t, answersVanish)
			}
			answered, release := p.held(t)
			if written > 0 {
				release()
				eventually(t, "the cluster has written", func() bool { return len(p.elastic.Documents("effects")) == written })
			}
			died := time.Now()
			p.workers[0].kill()
			a := <-answered
			if a.status != 200 || a.outcome() != "unknown" || !strings.Contains(a.body, `"retry":false`) {
				t.Errorf("answer: %s, want an unknown outcome that is not to be tried again", a)
			}
			if took := time.Since(died); took > 20*time.Second { // the deadline is at 60 s
				t.Errorf("answered %s after the worker died", took)
			}
			if got := len(p.elastic.Documents("effects")); got != written {
				t.Errorf("the cluster has %d documents, want %d", got, written)
			}
		})
	}
}

// Row 7.
func TestRollingRestartOfWorkersShowsNoError(t *testing.T) {
	t.Parallel()
	p := setup(t, options{workers: 3})
	p.connector(t, "index", indexConnector)
	var done atomic.Bool
	var answered atomic.Int64
	var calling sync.WaitGroup
	for n := range 8 {
		var headers []string
		if n%4 == 0 {
			headers = []string{"Prefer: respond-async"}
		}
		calling.Go(func() {
			for !done.Load() {
				if a := p.execute("index", document, headers...); !a.ok() && a.status != 202 {
					t.Errorf("an execution during the restarts: %s", a)
					return
				}
				answered.Add(1)
			}
		})
	}
	for n := range 6 {
		target := answered.Load() + 100 // each worker meets some load before it goes
		eventually(t, "executions go on", func() bool { return answered.Load() >= target || t.Failed() })
		w := p.workers[n%3]
		if err := w.stop(); err != nil {
			t.Error(err)
		}
		up(t, w)
	}
	done.Store(true)
	calling.Wait()
	p.drain(t)
	if got, want := int64(len(p.elastic.Documents("effects"))), answered.Load(); got != want {
		t.Errorf("the cluster has %d documents, %d executions were answered or accepted", got, want)
	}
}
