package pool_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/pool"
)

// Who observes hears what the caller is about to hear, also where that is not what the
// executor said.
func TestObserverHearsTheOutcomeBeforeTheCaller(t *testing.T) {
	t.Parallel()
	tooLarge := json.RawMessage(`"` + strings.Repeat("x", 2<<20) + `"`)
	for name, test := range map[string]struct {
		run  execute
		want pool.End
	}{
		"ok":        {func(context.Context, job) (json.RawMessage, error) { return nil, nil }, pool.End{Outcome: wire.OK}},
		"error":     {func(context.Context, job) (json.RawMessage, error) { return nil, &wire.Failure{} }, pool.End{Outcome: wire.Error}},
		"unknown":   {func(context.Context, job) (json.RawMessage, error) { return nil, &wire.Failure{Unknown: true} }, pool.End{Outcome: wire.Unknown}},
		"panic":     {func(context.Context, job) (json.RawMessage, error) { panic("p") }, pool.End{Outcome: wire.Unknown}},
		"too large": {func(context.Context, job) (json.RawMessage, error) { return tooLarge, nil }, pool.End{Outcome: wire.Unknown}},
		"busy":      {func(context.Context, job) (json.RawMessage, error) { return nil, pool.ErrBusy }, pool.End{Busy: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heard := make(chan pool.End, 1)
			b := setup(t, pool.Options{Slots: 1, Observe: func(typeID string) func(pool.End) {
				if typeID != ".probe" {
					t.Errorf("asked for %s", typeID)
				}
				return func(e pool.End) { heard <- e }
			}}, test.run)
			next(t, b.send(t, "e", patience))
			if len(heard) != 1 {
				t.Fatal("the caller was answered first")
			}
			got := <-heard
			if got.Took == 0 && !got.Busy {
				t.Error("it took no time")
			}
			got.Took = 0
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("heard (-want +got):\n%s", diff)
			}
			if running := b.pool.Running(); running != 0 {
				t.Errorf("%d still run", running)
			}
		})
	}
}
