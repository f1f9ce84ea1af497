package setting

import (
	"runtime/debug"
	"slices"
	"strings"
)

// garbage is how much of it, in percent of what is in use, may gather before it is
// collected. What is in use is little, a few MiB: with Go's 100 a program that is
// busy would collect hundreds of times a second. (With 400 it is faster still, but
// 10 000 connectors and 1000 executions in flight take 230 MiB instead of 160.)
const garbage = 200

// TuneGC sets the program's garbage collection, unless the environment ("NAME=value"
// each) has GOGC. GOMEMLIMIT works besides.
func TuneGC(environ []string) {
	if !slices.ContainsFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, "GOGC=") }) {
		debug.SetGCPercent(garbage)
	}
}
