package setting

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
)

const (
	// garbage is how much of it, in percent of the heap in use, may gather before it is
	// collected.
	garbage = 100
	// leastGarbage is how many bytes of it may gather at least. What is in use is often a
	// few MiB: with the percentage alone a program that is busy would collect dozens of
	// times a second.
	leastGarbage = 32 << 20
	// mostPercent bounds what Go is told, for a program that has next to nothing in use.
	mostPercent = 1000
)

// TuneGC sets the program's garbage collection, unless the environment ("NAME=value"
// each) has GOGC. GOMEMLIMIT works besides.
func TuneGC(environ []string) {
	if slices.ContainsFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, "GOGC=") }) {
		return
	}
	set := 2 * garbage // until the first collection tells what is in use
	debug.SetGCPercent(set)
	afterEachGC(func() {
		percent := readInUse().percent()
		// To set it stops the program for a moment: not for a little more or less.
		if change := percent - set; max(change, -change) > set/8 {
			set = percent
			debug.SetGCPercent(percent)
		}
	})
}

// inUse is what a program had in use when garbage was last collected, in bytes.
type inUse struct {
	heap    uint64
	scanned uint64 // of stacks and variables: Go's percentage is of both
}

func readInUse() inUse {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(s)
	return inUse{s[0].Value.Uint64(), s[1].Value.Uint64() + s[2].Value.Uint64()}
}

// percent returns how much garbage may gather, as Go counts it.
func (u inUse) percent() int {
	may := max(leastGarbage, u.heap*garbage/100)
	return int(min(may*100/max(u.heap+u.scanned, 1), mostPercent)) //nolint:gosec // G115: at most mostPercent
}

// afterEachGC has f called after each collection, never twice at once.
func afterEachGC(f func()) {
	type mark struct{ _ *mark } // with a pointer, or it would share its memory
	runtime.AddCleanup(new(mark), func(f func()) {
		f()
		afterEachGC(f)
	}, f)
}
