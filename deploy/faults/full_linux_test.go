package faults_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Row 17: what cannot be put on disk is not accepted, what needs no disk goes on, and
// all is well once there is room.
func TestFullDiskRefusesWhatMustBeKept(t *testing.T) {
	t.Parallel()
	p := prepare(t, options{workers: 1, api: quick})
	// Nobody can fill a disk of the machine for a test. The api's SQLite believes it.
	library, flag := filepath.Join(p.dir, "full.so"), filepath.Join(p.dir, "full")
	if output, err := exec.Command("gcc", "-shared", "-fPIC", "-o", library, "testdata/full.c", "-ldl").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, output)
	}
	resolved, err := filepath.EvalSymlinks(p.dir) // as the kernel tells it
	if err != nil {
		t.Fatal(err)
	}
	p.api.env = []string{"LD_PRELOAD=" + library, "FAULTS_FULL=" + flag, "FAULTS_DIR=" + resolved}
	up(t, p.broker, p.api, p.workers[0])
	p.ready(t)
	p.connector(t, "index", indexConnector)
	p.ended(t, p.async(t, "index", document))

	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if a := p.do(t.Context(), "POST", "/api/actions/connector/other", logConnector); a.status/100 != 5 {
		t.Errorf("create on a full disk: %s, want an error", a)
	}
	for range 5 {
		if a := p.execute("index", document, "Prefer: respond-async"); a.status != 507 && a.status != 503 {
			t.Errorf("a durable execution on a full disk: %s, want 507 or 503", a)
		}
	}
	for range 5 {
		if a := p.execute("index", document); !a.ok() {
			t.Errorf("an execution that needs no disk: %s", a)
		}
	}
	if err := os.Remove(flag); err != nil {
		t.Fatal(err)
	}
	eventually(t, "durable executions are accepted again", func() bool {
		return p.execute("index", document, "Prefer: respond-async").status == 202
	})
	p.drain(t)
	p.documents(t, "effects", 1+5+1)
}
