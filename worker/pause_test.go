package worker

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/pool/pooltest"
)

func TestWorkersTellEachOtherOfPauses(t *testing.T) {
	t.Parallel()
	broker := pooltest.Broker(t)
	heard := make(chan string, 10)
	other := &pauses{nc: pooltest.Connect(t, broker), log: slog.New(slog.DiscardHandler)}
	types := allHandlers(t)
	if err := other.hear(types, func(typeID, host string, left time.Duration) { heard <- fmt.Sprint(typeID, " ", host, " ", left) }); err != nil {
		t.Fatal(err)
	}
	if err := other.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	nc := pooltest.Connect(t, broker)
	one := &pauses{nc: nc, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, body := range []string{"", "null", "{}", `{"host":"h","seconds":0}`, `{"host":"h","seconds":-1}`, `{"host":"h","seconds":1e99}`,
		`{"host":"","seconds":1}`, `{"host":"` + strings.Repeat("h", 261) + `","seconds":1}`, `{"host":"h","seconds":99999999999}`,
		`{"host":"h","seconds":1` + strings.Repeat(" ", 512) + `}`} {
		if err := nc.Publish("patchbay.v1.pause.jira", []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	one.tell(".jira", "example.com:443", 1500*time.Millisecond) // what is no pause was not heard before
	select {
	case got := <-heard:
		if want := ".jira example.com:443 2s"; got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was heard")
	}
	if err := other.stop(); err != nil {
		t.Error(err)
	}
}

// The whole way: what one worker is asked for, both keep.
func TestPauseIsSharedByWorkers(t *testing.T) {
	t.Parallel()
	jira := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(jira.Close)
	host := strings.TrimPrefix(jira.URL, "http://")
	broker, ring := pooltest.Broker(t), newRing(t)
	for range 2 {
		startWorker(t, pooltest.Connect(t, broker), ring)
	}
	nc := pooltest.Connect(t, broker)
	told, err := nc.SubscribeSync("patchbay.v1.pause.jira")
	if err != nil {
		t.Fatal(err)
	}
	c := wire.Connector{ID: "j", Type: ".jira", Config: []byte(`{"apiUrl":"` + jira.URL + `","projectKey":"CK"}`)}
	binding := seal.Binding{Space: "ops", ConnectorID: c.ID, Type: c.Type, Config: c.Config}
	if c.Secrets, err = ring.Public().Seal([]byte(secrets), binding); err != nil {
		t.Fatal(err)
	}
	body, err := wire.Encode(wire.Request{Space: "ops", Connector: c, TimeLeft: wire.Millis(10 * time.Second),
		Params: []byte(`{"subAction":"issueTypes","subActionParams":{}}`)})
	if err != nil {
		t.Fatal(err)
	}
	ask := func() (paused bool) {
		t.Helper()
		msg, err := nc.Request("patchbay.v1.execute.jira", body, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(msg.Data), host+" asked for no requests until ")
	}
	if ask() {
		t.Error("the first execution was not sent")
	}
	msg, err := told.NextMsg(10 * time.Second)
	if want := `{"host":"` + host + `","seconds":30}`; err != nil || string(msg.Data) != want {
		t.Fatalf("told: %v, %v, want %s", msg, err, want)
	}
	// The other one hears it in its own time; members of the group take turns at random.
	deadline := time.Now().Add(10 * time.Second)
	for inRow := 0; inRow < 30; inRow++ {
		if !ask() {
			inRow = 0
		}
		if time.Now().After(deadline) {
			t.Fatal("one worker does not keep the pause")
		}
	}
}

// startWorker runs a worker that can open secrets until the test ends.
func startWorker(t *testing.T, nc *nats.Conn, ring *seal.Ring) {
	t.Helper()
	runWorker(t, nc, Config{Slots: 8, Ring: setting.Fixed(ring)})
}
