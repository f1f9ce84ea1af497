package pool_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/pool"
)

// However it ends: who looks for what is slow looks at failures first.
func TestReplyTellsTheWorkerAndItsTime(t *testing.T) {
	t.Parallel()
	ends := map[string]func() (json.RawMessage, error){
		"well":        func() (json.RawMessage, error) { return json.RawMessage(`{}`), nil },
		"badly":       func() (json.RawMessage, error) { return nil, errors.New("no luck") },
		"in a panic":  func() (json.RawMessage, error) { panic("at the disco") },
		"in too much": func() (json.RawMessage, error) { return json.RawMessage(make([]byte, 2<<20)), nil },
	}
	for name, end := range ends {
		took := make(chan time.Duration, 1)
		b := setup(t, pool.Options{Slots: 1, Name: "worker-1"}, func(context.Context, job) (json.RawMessage, error) {
			began := time.Now()
			for time.Since(began) < time.Millisecond { // it works
			}
			took <- time.Since(began)
			return end()
		})
		sent := time.Now()
		reply := timed(t, b, withAccess(``))
		least, most, got := <-took, time.Since(sent), time.Duration(reply.RunMicros)*time.Microsecond
		if reply.Worker != "worker-1" || got < least.Truncate(time.Microsecond) || got > most {
			t.Errorf("%s: worker %q, time %s, want worker-1, from %s to %s", name, reply.Worker, got, least, most)
		}
	}
}

func TestReplyToWhatWasNotBegunTellsNoTime(t *testing.T) {
	t.Parallel()
	b := setup(t, pool.Options{Slots: 1, Name: "worker-1"}, func(context.Context, job) (json.RawMessage, error) {
		t.Error("it was run")
		return nil, nil
	})
	for _, body := range []string{`{`, `{"connector":{"type":".probe","config":{}},"params":{},"time_left_ms":1}`} {
		if got := timed(t, b, []byte(body)); got.Failure == nil || got.Worker != "worker-1" || got.RunMicros != 0 {
			t.Errorf("%s: %+v, want a failure of worker-1 without a time", body, got)
		}
	}
}

// timed returns the reply to a short job as it is.
func timed(t *testing.T, b *bundle, body []byte) wire.Reply {
	t.Helper()
	msg, err := b.sendRaw(t, body).NextMsg(patience)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := wire.DecodeReply(msg.Data)
	if err != nil {
		t.Fatalf("%q: %v", msg.Data, err)
	}
	return reply
}
