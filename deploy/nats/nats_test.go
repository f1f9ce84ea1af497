// Package nats_test holds the broker's configuration to what Patchbay needs.
package nats_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/deploy/inprocess"
)

func TestConfigurationGivesWhatPatchbayNeeds(t *testing.T) {
	t.Parallel()
	options := load(t, generate(t))
	type needs struct {
		MaxPayload int32 // bytes
		MaxPending int64 // bytes
		JetStream  bool
		SyncAlways bool
		Monitoring string
	}
	got := needs{options.MaxPayload, options.MaxPending, options.JetStream, options.SyncAlways, net.JoinHostPort(options.HTTPHost, strconv.Itoa(options.HTTPPort))}
	want := needs{MaxPayload: 8 << 20, MaxPending: 1 << 30, JetStream: true, SyncAlways: true, Monitoring: "127.0.0.1:8222"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nats.conf (-want +got):\n%s", diff)
	}
	if got, want := options.MaxPayload, int32(inprocess.MaxPayload); got != want {
		t.Errorf("max_payload is %d bytes, in the all-in-one %d", got, want)
	}
}
