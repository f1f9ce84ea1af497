package pool_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/pool"
)

// The pool itself limits nothing: executors of other types have no indices.
func TestJobHasTheAccessOfItsRequest(t *testing.T) {
	t.Parallel()
	jobs := make(chan job, 1)
	b := setup(t, pool.Options{Slots: 1}, func(_ context.Context, j job) (json.RawMessage, error) {
		jobs <- j
		return nil, nil
	})
	for body, want := range map[string]*wire.Access{
		``:               nil,
		`,"access":null`: nil,
		`,"access":{}`:   {},
		`,"access":{"key":"k","indices":["a-*","b"]}`: {Key: "k", Indices: []string{"a-*", "b"}},
	} {
		reply := final(t, b.sendRaw(t, withAccess(body)))
		if diff := cmp.Diff(wire.Reply{}, reply); diff != "" {
			t.Fatalf("%s: reply (-want +got):\n%s", body, diff)
		}
		if diff := cmp.Diff(want, (<-jobs).Access); diff != "" {
			t.Errorf("%s: access (-want +got):\n%s", body, diff)
		}
	}
}

// A worker that is older than the api must not run without a limit that it does
// not know. Another worker may be newer, so that the caller may try again.
func TestRequestWithAnUnknownLimitIsNotRun(t *testing.T) {
	t.Parallel()
	b := setup(t, pool.Options{Slots: 1}, func(context.Context, job) (json.RawMessage, error) {
		t.Error("it was run")
		return nil, nil
	})
	got := final(t, b.sendRaw(t, withAccess(`,"access":{"key":"k","indices":["*"],"hours":"9-17"}`)))
	want := wire.Reply{Failure: &wire.Failure{
		Message: "an error occurred while running the action",
		ServiceMessage: "decode request: access limited in a way that is not known here, perhaps by a newer api: " +
			`json: unknown field "hours"`,
		Retry:  wire.RetryLater(),
		Source: wire.Framework,
	}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(wire.Retry{})); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
}

// withAccess returns a request that says more after its other members.
func withAccess(more string) []byte {
	return []byte(`{"execution_id":"e","connector":{"type":".probe","config":{}},"time_left_ms":10000,"params":{}` + more + `}`)
}
