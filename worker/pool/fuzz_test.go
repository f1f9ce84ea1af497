package pool_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/pool"
	"patchbay.dev/worker/pool/pooltest"
)

type indexJob = pool.Job[connector.IndexConfig, connector.None, connector.IndexParams]

// FuzzRequest sends any bytes for a request: each gets one answer, which the api
// can read, and an executor sees nothing that its type refuses.
func FuzzRequest(f *testing.F) {
	for _, body := range []string{
		`{"execution_id":"e","space":"default","connector":{"id":"c","type":".index","name":"n","version":1,"config":{"index":"a"}},"time_left_ms":1000,"params":{"documents":[{}]}}`,
		`{"connector":{"config":{"index":"a"},"secrets":"AAAA"},"time_left_ms":9223372036854,"params":"{\"documents\":[]}"}`,
		`{"connector":{"config":null},"time_left_ms":-5,"params":{}}`, `{"time_left_ms":1000}`, `null`, ``, `[]`, `{"params":1}`, `{"time_left_ms":1e3}`,
		"{\"connector\":{\"config\":{\"index\":\"\xff\"}},\"time_left_ms\":1000,\"params\":{\"documents\":[{\"a\":\"\xff\"}]}}",
		`{"time_left_ms":1000,"params":{"documents":[` + strings.Repeat(`[`, 5000) + strings.Repeat(`]`, 5000) + `]},"connector":{"config":{"index":"a"}}}`,
	} {
		f.Add([]byte(body))
	}
	broker := pooltest.Broker(f)
	nc := pooltest.Connect(f, broker)
	seen := make(chan indexJob, 1)
	p, err := pool.Start(pooltest.Connect(f, broker), []pool.Handler{
		pool.Handle(connector.Index, func(ctx context.Context, j indexJob) (json.RawMessage, error) {
			seen <- j
			return json.RawMessage(`{}`), context.Cause(ctx)
		}),
	}, pool.Options{Slots: 1, Grace: patience, Hosts: connector.AllHosts()}, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := p.Stop(); err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, body []byte) {
		msg, err := nc.Request("patchbay.v1.execute.index", body, patience)
		if err != nil {
			t.Fatalf("no answer: %v", err)
		}
		var reply wire.Reply
		if err := json.Unmarshal(msg.Data, &reply); err != nil || len(msg.Header) > 0 {
			t.Fatalf("answer %q with %v: %v", msg.Data, msg.Header, err)
		}
		if f := reply.Failure; f != nil && (f.Message == "" || f.Source != wire.User && f.Source != wire.Framework || f.Unknown) {
			t.Errorf("failure %+v", f)
		}
		select {
		case j := <-seen:
			var request wire.Request
			if err := json.Unmarshal(body, &request); err != nil || j.ExecutionID != request.ExecutionID || j.Space != request.Space {
				t.Errorf("the executor saw %+v of %q: %v", j, body, err)
			}
		default:
			if reply.Failure == nil {
				t.Errorf("success without an execution: %q", body)
			}
		}
	})
}
