package queue

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

// BenchmarkDrain is how long an execution takes that is accepted, run and ended, where
// its run takes no time, while so many are queued. It should not depend on how many:
// 50 are accepted whenever 50 were run.
func BenchmarkDrain(b *testing.B) {
	const batch = 50
	for _, depth := range []int{100, 20_000} {
		b.Run(fmt.Sprintf("queued=%d", depth), func(b *testing.B) {
			s := setup(b)
			s.log = slog.New(slog.DiscardHandler)
			s.options.Slots, s.options.Bytes = 512, 64<<20
			ran := make(chan struct{}, depth)
			s.run = func(context.Context, *ledger.Job) (wire.Reply, error) {
				ran <- struct{}{}
				return wire.Reply{}, nil
			}
			var next int
			accept := func() {
				next++
				s.accept(fmt.Sprint("c", next%10), batch)
			}
			for range depth / batch {
				accept()
			}
			s.start()
			for range batch { // it is under way
				<-ran
			}
			accept()
			b.ResetTimer()
			for n := range b.N {
				<-ran
				if n%batch == batch-1 {
					accept()
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "executions/s")
		})
	}
}
