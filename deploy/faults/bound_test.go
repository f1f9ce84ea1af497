package faults_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Row 17, of the broker: what is accepted is on the api's disk, and waits there.
func TestAcceptanceDoesNotNeedRoomAtTheBroker(t *testing.T) {
	t.Parallel()
	const room, noRoom = "jetstream {", "jetstream {\n  max_file_store: 1KB"
	p := setup(t, options{workers: 1, api: quick, broker: []string{room, noRoom}})
	p.connector(t, "index", indexConnector)
	id := p.async(t, "index", document)
	if a := p.execute("index", document); !a.ok() {
		t.Errorf("an execution that somebody waits for: %s", a)
	}
	if e := p.execution(t, id); e.Status != "queued" {
		t.Errorf("execution without room at the broker: %+v, want it queued", e)
	}
	file := filepath.Join(p.dir, "nats.conf")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), noRoom, room, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	p.broker.kill()
	up(t, p.broker)
	if e := p.ended(t, id); e.Outcome != "ok" {
		t.Errorf("execution once there is room: %+v", e)
	}
	p.documents(t, "effects", 2)
}

// Row 25, of the queue: who fills his part of it is told when to come again, and
// nobody else notices.
func TestFullQueueOfOneConnectorLeavesRoomForAnother(t *testing.T) {
	t.Parallel()
	const room = 50
	p := setup(t, options{workers: 1, api: append([]string{"-max-queued-per-connector=50"}, quick...)})
	p.connector(t, "index", indexConnector)
	p.connector(t, "log", logConnector)
	release := p.elastic.Hold()
	defer release()
	for range room {
		p.async(t, "index", document)
	}
	a := p.execute("index", document, "Prefer: respond-async")
	if a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("one more: %s, want 429 with Retry-After", a)
	}
	lines := `{"id":"index","params":` + document + "}\n" + `{"id":"log","params":` + message + "}\n"
	a = p.do(t.Context(), "POST", "/api/actions/_bulk_execute", lines, "Content-Type: application/x-ndjson")
	if a.status != 200 || !strings.Contains(a.body, `"statusCode":429`) || strings.Count(a.body, `"status":"queued"`) != 1 {
		t.Errorf("one more of each in bulk: %s, want the first refused and the second queued", a)
	}
	if e := p.ended(t, p.async(t, "log", message)); e.Outcome != "ok" {
		t.Errorf("another connector's: %+v", e)
	}
	release()
	p.drain(t)
	p.documents(t, "effects", room)
	p.ended(t, p.async(t, "index", document))
}
