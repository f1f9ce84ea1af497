package dispatch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
)

func TestCheckRunsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cancels, err := b.worker.SubscribeSync("patchbay.v1.cancel.>")
	if err != nil {
		t.Fatal(err)
	}
	b.serve(t, func(msg *nats.Msg) {
		if got := msg.Header.Get(wire.SignalHeader); got != wire.Probe || len(msg.Data) > 0 {
			t.Errorf("request %q with signal %q, want a probe", msg.Data, got)
		}
		respond(t, msg, signalHeader(wire.Probe), "")
	})
	if err := b.Check([]string{".probe", ".nobody"}); err != nil {
		t.Errorf("Check: %v", err)
	}
	if msg, err := cancels.NextMsg(patience); err != nil || len(msg.Data) > 0 {
		t.Errorf("cancel: %v, %v, want an empty one", msg, err)
	}
	if mute := b.Mute(t.Context(), []string{".probe", ".nobody"}); len(mute) > 0 {
		t.Errorf("mute: %q, want none", mute)
	}
	if len(b.calls) > 0 {
		t.Errorf("%d calls are left", len(b.calls))
	}
}

func TestWorkerThatDoesNotAnswerAProbeIsMute(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.serve(t, func(*nats.Msg) {})
	if diff := cmp.Diff([]string{".probe"}, b.Mute(t.Context(), []string{".nobody", ".probe"})); diff != "" {
		t.Errorf("mute (-want +got):\n%s", diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if mute := b.Mute(ctx, []string{".probe"}); len(mute) > 0 {
		t.Errorf("mute once the api stops: %q, want none", mute)
	}
}

func TestCheckNamesWhatTheBrokerRefuses(t *testing.T) {
	t.Parallel()
	publish := []string{"patchbay.v1.execute.*", "patchbay.v1.cancel.*", "patchbay.v1.reseal.*"}
	subscribe := []string{"_INBOX.>"}
	for _, test := range []struct {
		publish, subscribe []string
		want               string
	}{
		{publish, subscribe, ""},
		{publish[1:], subscribe, `Publish to "patchbay.v1.execute.probe"`},
		{slices.Delete(slices.Clone(publish), 1, 2), subscribe, `Publish to "patchbay.v1.cancel.probe"`},
		{publish[:2], subscribe, `Publish to "patchbay.v1.reseal.probe"`},
		{publish, []string{"other"}, `Subscription to "_INBOX.`},
	} {
		broker := startBroker(t, &server.Options{Users: []*server.User{{
			Username: "api", Password: "p", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Allow: test.publish}, Subscribe: &server.SubjectPermission{Allow: test.subscribe},
			}}}})
		nc, err := nats.Connect("", nats.InProcessServer(broker), nats.UserInfo("api", "p"), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		d, err := New(nc)
		if err != nil {
			t.Fatal(err)
		}
		err = d.Check([]string{".probe"})
		if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("Check: %v, want it to name %s", err, test.want)
		}
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}
