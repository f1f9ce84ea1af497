package faults_test

import (
	"strings"
	"testing"
	"time"
)

// Row 12: connections are made, and what is sent there is never answered.
func TestClusterThatSwallowsEverythingIsUnknownAtTheDeadline(t *testing.T) {
	t.Parallel()
	p := setup(t, options{workers: 1, api: []string{"-execute-timeout=3s"}})
	p.connector(t, "index", indexConnector)
	mend := p.toElastic.disturb(t, requestsVanish)
	began := time.Now()
	answered := make(chan answer, 1)
	go func() { answered <- p.execute("index", document) }()
	// Others do not notice.
	for range 20 {
		if a := p.execute("probe", message); !a.ok() {
			t.Errorf("an execution that leads elsewhere: %s", a)
		}
	}
	if a := <-answered; a.outcome() != "unknown" {
		t.Errorf("answer: %s, want unknown", a)
	}
	if took := time.Since(began); took < 2*time.Second { // a worker keeps some of the time for the way back
		t.Errorf("answered after %s, long before the deadline", took)
	}
	mend()
	eventually(t, "executions work again", func() bool { return p.execute("index", document).ok() })
}

// Row 12: nobody listens there.
func TestClusterThatIsAwayMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	p := setup(t, options{workers: 1})
	p.connector(t, "index", indexConnector)
	p.toElastic.cut()
	if a := p.execute("index", document); a.outcome() != "error" || !strings.Contains(a.body, `"retry":true`) {
		t.Errorf("answer: %s, want an error that may be tried again", a)
	}
	p.toElastic.mend(t)
	if a := p.execute("index", document); !a.ok() {
		t.Errorf("once it is back: %s", a)
	}
}

// Row 6, of a request that cannot be told from one that was not carried out.
func TestAnswerThatIsResetIsUnknownAndNotSentAgain(t *testing.T) {
	t.Parallel()
	p := setup(t, options{workers: 1})
	p.connector(t, "index", indexConnector)
	mend := p.toElastic.disturb(t, answersReset)
	if a := p.execute("index", document); a.outcome() != "unknown" || !strings.Contains(a.body, `"retry":false`) {
		t.Errorf("answer: %s, want an unknown outcome that is not to be tried again", a)
	}
	mend()
	if a := p.execute("index", document); !a.ok() {
		t.Errorf("after the reset: %s", a)
	}
	if got := len(p.elastic.Documents("effects")); got != 2 {
		t.Errorf("the cluster has %d documents, want 2", got)
	}
}
