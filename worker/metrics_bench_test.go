package worker

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/pool"
)

// What counting one execution costs where all cores count at once.
//
//	go test -run '^$' -bench Counting -cpu 1,2,4 ./worker
func BenchmarkCounting(b *testing.B) {
	observe, err := observing(prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	ended := observe(".server-log")
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			ended(pool.End{Outcome: wire.OK, Took: 3 * time.Millisecond})
		}
	})
}
