package pool_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"patchbay.dev/worker/pool"
	"patchbay.dev/worker/pool/pooltest"
)

func TestStartNamesWhatTheBrokerRefuses(t *testing.T) {
	t.Parallel()
	all := []string{"patchbay.v1.execute.probe workers", "patchbay.v1.cancel.probe"}
	for _, test := range []struct {
		subscribe, publish []string
		want               string // "" for a start
	}{
		{all, []string{"_INBOX_api.*.*", "patchbay.v1.pause.probe"}, ""},
		{all, []string{"_INBOX_api.*.*"}, `Publish to "patchbay.v1.pause.probe"`},
		{all[1:], []string{">"}, `Subscription to "patchbay.v1.execute.probe" using queue "workers"`},
		{all[:1], []string{">"}, `Subscription to "patchbay.v1.cancel.probe"`},
		{all, []string{"patchbay.v1.pause.probe"}, `Publish to "_INBOX_api.`},
	} {
		broker := pooltest.Broker(t)
		if err := broker.ReloadOptions(&server.Options{DontListen: true, NoSigs: true, NoLog: true, Users: []*server.User{{
			Username: "worker", Password: "p", Permissions: &server.Permissions{
				Subscribe: &server.SubjectPermission{Allow: test.subscribe}, Publish: &server.SubjectPermission{Allow: test.publish},
			}}}}); err != nil {
			t.Fatal(err)
		}
		nc := pooltest.Connect(t, broker, nats.UserInfo("worker", "p"), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		run := func(context.Context, job) (json.RawMessage, error) { return nil, nil }
		p, err := pool.Start(nc, []pool.Handler{pool.Handle(probe, run)}, pool.Options{Slots: 1, Grace: patience}, slog.New(slog.DiscardHandler))
		if test.want == "" {
			if err != nil {
				t.Fatalf("Start: %v", err)
			}
			if err := p.Stop(); err != nil {
				t.Errorf("Stop: %v", err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Start: %v, want it to name %s", err, test.want)
		}
	}
}
