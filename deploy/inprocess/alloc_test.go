package inprocess

import "testing"

// What is added to the way of an execution little by little would be seen by nobody.
func TestExecutionsAllocateLittle(t *testing.T) {
	t.Parallel()
	const most = 480 // by one execution of each kind in BenchmarkExecute: a tenth more than they do
	result := testing.Benchmark(BenchmarkExecute)
	if got := result.AllocsPerOp(); got == 0 || got > most {
		t.Errorf("%d allocations, want at most %d, and more than none: BenchmarkExecute tells of which type", got, most)
	}
}
