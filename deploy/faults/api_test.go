package faults_test

import (
	"net"
	"strings"
	"testing"
)

// Row 9: what is under way is answered, what was accepted is run, and nobody new is
// let in.
func TestApiThatStopsAnswersWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	p := setup(t, options{workers: 1})
	p.connector(t, "index", indexConnector)
	answered, release := p.held(t)
	queued := p.async(t, "index", document)
	stopped := make(chan error, 1)
	go func() { stopped <- p.api.stop() }()
	eventually(t, "no new connection is taken", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	release()
	if a := <-answered; !a.ok() {
		t.Errorf("the execution under way: %s", a)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	up(t, p.api)
	p.ready(t)
	if e := p.ended(t, queued); e.Outcome != "ok" {
		t.Errorf("the queued execution: %+v", e)
	}
	p.documents(t, "effects", 2)
}

// Row 20.
func TestWhatTheBrokerDoesNotTakeIsRefusedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	p := setup(t, options{workers: 1, broker: []string{"max_payload: 8MB", "max_payload: 64KB"}})
	p.connector(t, "index", indexConnector)
	large := `{"documents":[{"text":"` + strings.Repeat("x", 100<<10) + `"}]}`
	if a := p.execute("index", large); a.status != 413 || !strings.Contains(a.body, "65536") {
		t.Errorf("an execution over the broker's limit: %s, want 413 with the limit", a)
	}
	if a := p.execute("index", document); !a.ok() {
		t.Errorf("an execution within it: %s", a)
	}
	if got := p.elastic.Requests(); got != 1 {
		t.Errorf("the cluster got %d requests, want 1", got)
	}
}
