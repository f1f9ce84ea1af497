package pool_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/pool"
)

// Nobody behind the worker looks through large data: what is no JSON must not leave it.
func TestDataThatAreNoJSONAreNotSent(t *testing.T) {
	t.Parallel()
	const rest = 2 << 10
	for name, data := range map[string]string{
		"small": `{]`, "cut": `["` + strings.Repeat("x", rest), "two values": strings.Repeat(" ", rest) + `{}{}`,
		"not UTF-8": `"` + strings.Repeat("x", rest) + "\xff\"", "too deep": strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, pool.Options{Slots: 1}, func(context.Context, job) (json.RawMessage, error) { return json.RawMessage(data), nil })
			reply := final(t, b.send(t, "1", patience))
			if reply.Outcome() != wire.Unknown || !strings.HasPrefix(reply.Failure.ServiceMessage, "it was carried out, but what came of it cannot be told: ") {
				t.Errorf("%s: %+v", reply.Outcome(), reply.Failure)
			}
		})
	}
}

func TestLargeParamsAreChecked(t *testing.T) {
	t.Parallel()
	b := setup(t, pool.Options{Slots: 1}, func(context.Context, job) (json.RawMessage, error) {
		t.Error("it was run")
		return nil, nil
	})
	for name, params := range map[string]string{
		"no JSON": `{"a":["` + strings.Repeat("x", 2<<10) + `"}`, "not UTF-8": `{"a":"` + strings.Repeat("x", 2<<10) + "\xff\"}",
		"too deep": strings.Repeat(`{"a":`, 1<<10) + "1" + strings.Repeat("}", 1<<10), "unknown key": `{"a":"` + strings.Repeat("x", 2<<10) + `"}`,
	} {
		request := wire.Request{ExecutionID: "1", Connector: wire.Connector{Type: ".probe", Config: json.RawMessage(`{}`)}, TimeLeft: wire.Millis(patience), Params: json.RawMessage(params)}
		reply := final(t, b.sendRaw(t, request.Append(nil)))
		if reply.Outcome() != wire.Error || !strings.HasPrefix(reply.Failure.Message, "error validating action params: ") {
			t.Errorf("%s: %s: %+v", name, reply.Outcome(), reply.Failure)
		}
	}
}
