package worker

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/index"
	"patchbay.dev/worker/pool/pooltest"
)

// runWorker runs a worker of every type until the test ends.
func runWorker(t *testing.T, nc *nats.Conn, config Config) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	config.Types, config.MaxResponse, config.Hosts = []string{"all"}, 1<<20, connector.AllHosts()
	config.CIDRs = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	config.ShutdownTimeout, config.Ready = 10*time.Second, func() { close(ready) }
	go func() { ended <- Run(ctx, config, nc, slog.New(slog.NewTextHandler(t.Output(), nil))) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	<-ready
}

// A Jira or a cluster that hangs holds as many slots as one destination may, however
// many connectors lead there.
func TestConnectorsOfOneDestinationShareItsSlots(t *testing.T) {
	t.Parallel()
	for typeID, test := range map[string]struct{ config, params string }{
		".jira":  {`{"apiUrl":"URL","projectKey":"CK"}`, `{"subAction":"issueTypes","subActionParams":{}}`},
		".index": {`{"index":"i"}`, `{"documents":[{}]}`},
	} {
		t.Run(typeID, func(t *testing.T) {
			t.Parallel()
			came, release := make(chan struct{}, 8), make(chan struct{})
			hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				came <- struct{}{}
				<-release
			}))
			t.Cleanup(hanging.Close)
			broker, ring := pooltest.Broker(t), newRing(t)
			runWorker(t, pooltest.Connect(t, broker), Config{
				Slots: 8, DestinationSlots: 1, Ring: setting.Fixed(ring), Index: index.Config{URL: hanging.URL},
			})
			config := wire.Connector{Type: typeID, Config: []byte(strings.Replace(test.config, "URL", hanging.URL, 1))}
			nc := pooltest.Connect(t, broker)
			first := request(t, nc, ring, config, "a", test.params)
			<-came
			if msg := request(t, nc, ring, config, "b", test.params)(); msg.Header.Get(wire.SignalHeader) != wire.Busy {
				t.Errorf("another connector of the destination: %v %s, want the signal %q", msg.Header, msg.Data, wire.Busy)
			}
			free := request(t, nc, ring, wire.Connector{Type: ".server-log", Config: []byte(`{}`)}, "c", `{"message":"m"}`)()
			if reply, err := wire.DecodeReply(free.Data); err != nil || reply.Failure != nil {
				t.Errorf("a connector without a destination: %s", free.Data)
			}
			close(release)
			for msg := first(); len(msg.Data) == 0; msg = first() { // until it is more than a heartbeat
				if signal := msg.Header.Get(wire.SignalHeader); signal != wire.Running {
					t.Errorf("the first: signal %q", signal)
				}
			}
		})
	}
}

// request publishes an execution and returns what waits for its next answer.
func request(t *testing.T, nc *nats.Conn, ring *seal.Ring, c wire.Connector, id, params string) (next func() *nats.Msg) {
	t.Helper()
	c.ID = id
	if c.Type == ".jira" {
		binding := seal.Binding{Space: "ops", ConnectorID: c.ID, Type: c.Type, Config: c.Config}
		var err error
		if c.Secrets, err = ring.Public().Seal([]byte(secrets), binding); err != nil {
			t.Fatal(err)
		}
	}
	body, err := wire.Encode(wire.Request{Space: "ops", Connector: c, TimeLeft: wire.Millis(10 * time.Second), Params: []byte(params)})
	if err != nil {
		t.Fatal(err)
	}
	subject, err := wire.Subject(c.Type)
	if err != nil {
		t.Fatal(err)
	}
	inbox := nc.NewInbox()
	answers, err := nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.PublishRequest(subject, inbox, body); err != nil {
		t.Fatal(err)
	}
	return func() *nats.Msg {
		t.Helper()
		msg, err := answers.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return msg
	}
}
