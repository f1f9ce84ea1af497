package setting_test

import (
	"runtime/debug"
	"testing"

	"patchbay.dev/shared/setting"
)

func TestEnvironmentDecidesAboutGarbage(t *testing.T) { //nolint:paralleltest // it is the whole process's
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	setting.TuneGC([]string{"A=b", "GOGC=100"})
	if got := debug.SetGCPercent(77); got != 77 {
		t.Errorf("GOGC is set, and yet it became %d", got)
	}
	setting.TuneGC([]string{"A=b"})
	if got := debug.SetGCPercent(77); got != 200 {
		t.Errorf("percent %d, want 200", got)
	}
}
