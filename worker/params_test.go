package worker

import (
	"os"
	"strings"
	"testing"
	"time"

	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/pool/pooltest"
)

// sealedParams returns an execution with params that are sealed for it.
func sealedParams(t *testing.T, ring *seal.Ring) *wire.Request {
	t.Helper()
	blob, err := ring.Public().Seal([]byte(`{"message":"m"}`), seal.ParamsBinding("ops", "l", ".server-log", "e1"))
	if err != nil {
		t.Fatal(err)
	}
	return &wire.Request{ExecutionID: "e1", Space: "ops", Connector: wire.Connector{ID: "l", Type: ".server-log"}, SealedParams: blob}
}

func TestSealedParamsOpenForTheirExecution(t *testing.T) {
	t.Parallel()
	ring := newRing(t)
	o, req := openerOf(t, ring), sealedParams(t, ring)
	req.Connector.Config = []byte(`{}`) // may have changed since
	if got, err := o.openParams(req); err != nil || string(got) != `{"message":"m"}` {
		t.Errorf("openParams: %s, %v", got, err)
	}
	if len(o.opened) > 0 {
		t.Errorf("%d are remembered", len(o.opened))
	}
	for name, change := range map[string]func(*wire.Request){
		"execution": func(r *wire.Request) { r.ExecutionID = "e2" },
		"space":     func(r *wire.Request) { r.Space = "other" },
		"connector": func(r *wire.Request) { r.Connector.ID = "k" },
		"type":      func(r *wire.Request) { r.Connector.Type = ".index" },
	} {
		other := *req
		change(&other)
		if got, err := o.openParams(&other); err == nil || err.Error() != "the sealed params do not belong to this execution" {
			t.Errorf("another %s: %s, %v", name, got, err)
		}
	}
}

func TestParamsThatCannotBeOpenedAreTold(t *testing.T) {
	t.Parallel()
	theirs := newRing(t)
	req := sealedParams(t, theirs)
	if _, err := newOpener(nil, nil).openParams(req); err == nil || !strings.Contains(err.Error(), "PATCHBAY_SEAL_KEY_FILE") {
		t.Errorf("without a key: %v, want an error that names PATCHBAY_SEAL_KEY_FILE", err)
	}
	if _, err := openerOf(t, newRing(t)).openParams(req); err == nil || !strings.Contains(err.Error(), theirs.Public().ID().String()) {
		t.Errorf("with another key: %v, want an error that names %s", err, theirs.Public().ID())
	}
	req.SealedParams = []byte("x")
	if _, err := openerOf(t, theirs).openParams(req); err == nil {
		t.Error("garbage was opened")
	}
}

// A key that was added after the file was read opens what is sealed to it.
func TestParamsAreOpenedWithANewKey(t *testing.T) {
	t.Parallel()
	f := newKeyFile(t)
	req := sealedParams(t, f.add())
	if got, err := f.opener.openParams(req); err != nil || string(got) != `{"message":"m"}` {
		t.Errorf("openParams: %s, %v", got, err)
	}
}

// What is kept for later is opened by the worker that happens to run it, which
// says so.
func TestWorkerRunsSealedParams(t *testing.T) {
	t.Parallel()
	broker := pooltest.Broker(t)
	ring := newRing(t)
	startWorker(t, pooltest.Connect(t, broker), ring)
	req := sealedParams(t, ring)
	req.Connector.Config, req.TimeLeft = []byte(`{}`), wire.Millis(10*time.Second)
	msg, err := pooltest.Connect(t, broker).Request("patchbay.v1.execute.server-log", req.Append(nil), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := wire.DecodeReply(msg.Data); err != nil || got.Failure != nil || !strings.HasPrefix(got.Worker, host+"-") || got.RunMicros == 0 {
		t.Errorf("reply %s, %v, want success of a worker on %s", msg.Data, err, host)
	}
}

func TestProcessesHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	if a, b := processName(), processName(); a == b || strings.Trim(a, "- ") == "" {
		t.Errorf("names %q and %q", a, b)
	}
}
