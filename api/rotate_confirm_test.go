package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/wire"
)

// wantReasons wants a line in the log for each of so many connectors.
func (r *rotating) wantReasons(count int, reason string) {
	r.Helper()
	if n := strings.Count(r.log.String(), reason); n != count {
		r.Errorf("the log has %d lines with %q, want %d:\n%s", n, reason, count, r.log)
	}
}

// A key that was added and not published: a prune would leave nothing that opens.
func TestRotationBeforeTheNewKeyIsPublishedFails(t *testing.T) {
	t.Parallel()
	r := setupRotation(t, options{preconfigured: preconfiguredJira})
	current, err := seal.ReadRing(r.file) // of the api
	if err != nil {
		t.Fatal(err)
	}
	r.putSealed(2, 10)
	added := seal.KeyID{1}
	asked := 0
	r.serve(func(request wire.ResealRequest) *wire.ResealReply {
		asked++
		if len(request.Items) > 0 {
			t.Errorf("%d items were sent to a worker with another key", len(request.Items))
		}
		return &wire.ResealReply{Key: added.String()}
	})
	r.wantRotated(3, 0, 3)
	if asked != 1 {
		t.Errorf("asked %d times, want once per type", asked)
	}
	r.wantReasons(3, fmt.Sprintf("the newest key of the worker is %s and the key of the api is %s: "+
		"give every worker the same keys, publish the newest of them to the api (worker keys publish), and rotate again", added, current.Public().ID()))
}

func TestRotationThatNoWorkerConfirmsFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reply  *wire.ResealReply
		nobody bool
		want   string
	}{
		"nobody":  {nil, true, "no worker to confirm that a prune is safe: no worker is running for this connector type"},
		"silence": {nil, false, "no worker to confirm that a prune is safe: no answer came: time was up before the worker answered"},
		"no key": {&wire.ResealReply{}, false,
			"no worker to confirm that a prune is safe: the worker tells no key: set PATCHBAY_SEAL_KEY_FILE for it, or give it the version of the api"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// All is sealed to the key of the api: preconfigured alone, and stored too.
			r := setupRotation(t, options{preconfigured: preconfiguredJira, timeout: 300 * time.Millisecond})
			if !test.nobody {
				r.serve(func(wire.ResealRequest) *wire.ResealReply { return test.reply })
			}
			r.wantRotated(1, 0, 1)
			r.putSealed(1, 10)
			r.wantRotated(2, 0, 2)
			r.wantReasons(3, test.want)
		})
	}
}

// Nobody said no: that there was no time for an answer is no failure of a connector.
func TestACallerWhoLeavesBeforeTheKeyIsConfirmedLeavesNoFailure(t *testing.T) {
	t.Parallel()
	r := setupRotation(t, options{preconfigured: preconfiguredJira})
	ctx, leave := context.WithCancel(t.Context())
	first := true
	r.serve(func(wire.ResealRequest) *wire.ResealReply {
		if first {
			first = false
			leave()
			return nil
		}
		ring, err := seal.ReadRing(r.file)
		if err != nil {
			t.Error(err)
		}
		return &wire.ResealReply{Key: ring.Public().ID().String()}
	})
	request, err := http.NewRequestWithContext(ctx, "POST", r.url+rotatePath, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		t.Fatalf("the caller who left got %s", response.Status)
	}
	for deadline := time.Now().Add(10 * time.Second); ; { // until the first has noticed
		got := r.rotate()
		if got.status == http.StatusTooManyRequests && time.Now().Before(deadline) {
			continue
		}
		r.wantAnswer(got, http.StatusOK, `{"total":1,"successful":0,"failed":0}`)
		break
	}
	r.wantReasons(0, "secrets were not rotated")
	r.wantReasons(1, "complete=false")
}

// What is sealed is as long as before; what is not would never open again.
func TestAnAnswerOfAnotherLengthReplacesNothing(t *testing.T) {
	t.Parallel()
	r := setupRotation(t, options{preconfigured: preconfiguredJira})
	r.putSealed(2, 10)
	newest := r.addKey()
	r.serveReseal(func(request wire.ResealRequest) *wire.ResealReply {
		head := append([]byte{1}, newest[:]...)
		reply := wire.ResealReply{Items: make([]wire.Resealed, len(request.Items))}
		for i, item := range request.Items {
			forged := append(bytes.Clone(head), make([]byte, 32)...) // a head alone, or a byte too many
			if i > 0 {
				forged = append(forged, make([]byte, len(item.Secrets)-len(forged)+1)...)
			}
			reply.Items[i].Secrets = forged
		}
		return &reply
	})
	before := r.keys()
	r.wantRotated(3, 0, 3)
	if diff := cmp.Diff(before, r.keys()); diff != "" {
		t.Errorf("keys (-before +after):\n%s", diff)
	}
	r.wantReasons(3, "the worker's answer is no secrets: it is of")
}
