package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
)

var resealItems = []wire.Sealed{{Binding: []byte("a"), Secrets: []byte("b")}, {Binding: []byte("c"), Secrets: []byte("d")}}

// serveReseal answers requests to seal anew until the test ends.
func (b *bundle) serveReseal(t *testing.T, answer func(*nats.Msg)) {
	t.Helper()
	if _, err := b.worker.QueueSubscribe("patchbay.v1.reseal.probe", wire.QueueGroup, answer); err != nil {
		t.Fatal(err)
	}
	if err := b.worker.Flush(); err != nil {
		t.Fatal(err)
	}
}

func TestResealCarriesItemsAndResults(t *testing.T) {
	t.Parallel()
	b := setup(t)
	refused := 0
	b.serveReseal(t, func(msg *nats.Msg) {
		if refused++; refused < 4 {
			respond(t, msg, signalHeader(wire.Busy), "")
			return
		}
		var got wire.ResealRequest
		if err := json.Unmarshal(msg.Data, &got); err != nil {
			t.Errorf("request %s: %v", msg.Data, err)
		}
		if diff := cmp.Diff(wire.ResealRequest{Items: resealItems}, got); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
		respond(t, msg, nil, `{"items":[{"secrets":"Yg=="},{"error":"no"}]}`)
	})
	got, err := b.Reseal(t.Context(), ".probe", resealItems, patience)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]wire.Resealed{{Secrets: []byte("b")}, {Error: "no"}}, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

func TestResealErrors(t *testing.T) {
	t.Parallel()
	answerWith := func(body string) func(*testing.T, *nats.Msg) {
		return func(t *testing.T, msg *nats.Msg) { respond(t, msg, nil, body) }
	}
	for name, test := range map[string]struct {
		answer func(*testing.T, *nats.Msg)
		want   string
	}{
		"nobody":               {nil, ErrNoWorker.Error()},
		"busy until the end":   {func(t *testing.T, msg *nats.Msg) { respond(t, msg, signalHeader(wire.Busy), "") }, ""},
		"silence":              {func(*testing.T, *nats.Msg) {}, "no answer came: time was up before the worker answered"},
		"garbage":              {answerWith(`{"items":`), "read the worker's answer: "},
		"too few results":      {answerWith(`{"items":[{"secrets":"Yg=="}]}`), "the worker answered 1 results for 2 items"},
		"no results":           {answerWith(`{}`), "the worker answered 0 results for 2 items"},
		"an execution's reply": {answerWith(`{"data":{"n":1}}`), "the worker answered 0 results for 2 items"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			if test.answer != nil {
				b.serveReseal(t, func(msg *nats.Msg) { test.answer(t, msg) })
			}
			got, err := b.Reseal(t.Context(), ".probe", resealItems, 300*time.Millisecond)
			if err == nil || got != nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("Reseal: %v, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestResealThatIsTooLargeIsNotSent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.serveReseal(t, func(msg *nats.Msg) { t.Error("it was sent"); respond(t, msg, nil, `{}`) })
	_, err := b.Reseal(t.Context(), ".probe", []wire.Sealed{{Secrets: make([]byte, 4096)}}, patience)
	if tooLarge, ok := errors.AsType[*TooLargeError](err); !ok || tooLarge.Limit != 4096 {
		t.Errorf("Reseal: %v, want a TooLargeError", err)
	}
}

func TestResealEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{errors.New("gone"), ErrStopping} {
		b := setup(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		b.serveReseal(t, func(*nats.Msg) { cancel(cause) })
		if _, err := b.Reseal(ctx, ".probe", resealItems, patience); !errors.Is(err, cause) {
			t.Errorf("Reseal: %v, want %v", err, cause)
		}
	}
}
