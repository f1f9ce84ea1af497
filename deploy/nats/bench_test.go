package nats_test

import (
	"context"
	"encoding/json"
	"runtime"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"patchbay.dev/shared/connector"
	"patchbay.dev/worker/pool"
)

// What the permissions cost: an execution from the dispatcher to a worker that has
// nothing to do and back, 64 at once. Run it with -count=10 and compare the two:
//
//	go test -run '^$' -bench Execute -count 10 ./deploy/nats
func BenchmarkExecute(b *testing.B) {
	nothing := pool.Handle(connector.ServerLog,
		func(context.Context, pool.Job[connector.None, connector.None, connector.ServerLogParams]) (json.RawMessage, error) {
			return nil, nil
		})
	for _, permissions := range []bool{false, true} {
		name := "permissions=off"
		if permissions {
			name = "permissions=on"
		}
		b.Run(name, func(b *testing.B) {
			keys := generate(b)
			options := load(b, keys)
			if !permissions {
				for _, user := range options.Nkeys {
					user.Permissions = nil
				}
			}
			broker := run(b, options, keys, server.RANDOM_PORT)
			broker.pool(b, "worker", 64, nothing)
			d := broker.dispatcher(b)
			b.SetParallelism(64 / runtime.GOMAXPROCS(0))
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if reply, err := d.Ask(b.Context(), request(".server-log"), nil, patience); err != nil || reply.Failure != nil {
						b.Errorf("Ask: %+v, %v", reply, err)
						return
					}
				}
			})
			b.StopTimer()
		})
	}
}
