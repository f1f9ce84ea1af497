package setting

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
)

const (
	// garbage is how much of it, in percent of what is in use, may gather before it is
	// collected. (With 400 it is faster still, but 10 000 connectors and 1000 executions
	// in flight take 230 MiB instead of 160.)
	garbage = 200
	// leastGarbage is how many bytes of it may gather at least. What is in use is often a
	// few MiB: with the percentage alone a program that is busy would collect dozens of
	// times a second.
	leastGarbage = 24 << 20
	// mostGarbage bounds the percentage, for a program that has next to nothing in use.
	mostGarbage = 1000
)

// TuneGC sets the program's garbage collection, unless the environment ("NAME=value"
// each) has GOGC. GOMEMLIMIT works besides.
func TuneGC(environ []string) {
	if slices.ContainsFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, "GOGC=") }) {
		return
	}
	set := garbage
	debug.SetGCPercent(set)
	afterEachGC(func() {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		percent := percentFor(live[0].Value.Uint64())
		// To set it stops the program for a moment: not for a little more or less.
		if change := percent - set; max(change, -change) > set/8 {
			set = percent
			debug.SetGCPercent(percent)
		}
	})
}

// percentFor returns how much garbage may gather, in percent of the bytes in use.
func percentFor(live uint64) int {
	return int(min(max(garbage, leastGarbage*100/max(live, 1)), mostGarbage)) //nolint:gosec // G115: at most mostGarbage
}

// afterEachGC has f called after each collection, never twice at once.
func afterEachGC(f func()) {
	type mark struct{ _ *mark } // with a pointer, or it would share its memory
	runtime.AddCleanup(new(mark), func(f func()) {
		f()
		afterEachGC(f)
	}, f)
}
