package dispatch

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func TestNewestKeyIsAskedWithAnEmptyRequest(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{"items":[],"key":"0011223344556677"}`: "0011223344556677",
		`{"items":null}`:                        "", // of an older worker
	} {
		b := setup(t)
		b.serveReseal(t, func(msg *nats.Msg) {
			if string(msg.Data) != `{"items":[]}` {
				t.Errorf("request %s, want an empty one", msg.Data)
			}
			respond(t, msg, nil, answer)
		})
		if got, err := b.NewestKey(t.Context(), ".probe", patience); err != nil || got != want {
			t.Errorf("NewestKey: %q, %v, want %q", got, err, want)
		}
	}
}

func TestNewestKeyErrors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.NewestKey(t.Context(), ".probe", 300*time.Millisecond); err == nil || err.Error() != ErrNoWorker.Error() {
		t.Errorf("NewestKey of nobody: %v, want %v", err, ErrNoWorker)
	}
	b.serveReseal(t, func(msg *nats.Msg) { respond(t, msg, nil, `{`) })
	if _, err := b.NewestKey(t.Context(), ".probe", patience); err == nil || !strings.HasPrefix(err.Error(), "read the worker's answer: ") {
		t.Errorf("NewestKey of garbage: %v", err)
	}
}
