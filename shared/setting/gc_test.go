package setting_test

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"patchbay.dev/shared/setting"
)

func TestEnvironmentDecidesAboutGarbage(t *testing.T) { //nolint:paralleltest // it is the whole process's
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	setting.TuneGC([]string{"A=b", "GOGC=100"})
	if got := debug.SetGCPercent(77); got != 77 {
		t.Errorf("GOGC is set, and yet it became %d", got)
	}
}

func TestGarbageIsMeasuredByWhatIsInUse(t *testing.T) { //nolint:paralleltest // it is the whole process's
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	setting.TuneGC([]string{"A=b"})
	percent := func() int {
		now := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(now)
		return int(now[0].Value.Uint64())
	}
	if got := percent(); got != 200 {
		t.Errorf("percent %d, want 200", got)
	}
	becomes := func(what string, as func(percent int) bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !as(percent()); runtime.GC() {
			if time.Now().After(end) {
				t.Fatalf("%s: percent %d", what, percent())
			}
		}
	}
	becomes("little is in use", func(percent int) bool { return percent > 300 })
	much := make([]byte, 64<<20)
	becomes("much is in use", func(percent int) bool { return 90 <= percent && percent <= 100 }) // stacks count for it
	runtime.KeepAlive(much)
}
