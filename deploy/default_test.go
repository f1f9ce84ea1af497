package deploy_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/deploy/inprocess"
	"patchbay.dev/shared/diagnose"
	"patchbay.dev/shared/setting"
)

// Who reads the table relies on it: on what is bounded, and on what is off.
func TestReadmeTellsTheDefaults(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `(PATCHBAY_[A-Z_]+)` \\| ([^|]+) \\|").FindAllStringSubmatch(string(readme), -1) {
		value := "" // in words: "none", "the system's"
		if strings.HasPrefix(row[2], "`") {
			value = strings.ReplaceAll(row[2], "`", "")
		}
		told[row[1]] = value
	}
	delete(told, "PATCHBAY_SEAL_PUBLIC_KEY_FILE") // of the api as a program of its own
	var config inprocess.Config
	fs := flag.NewFlagSet("all", flag.ContinueOnError)
	config.Flags(fs)
	new(setting.Log).Flags(fs)
	new(diagnose.Config).Flags(fs)
	new(diagnose.Metrics).Flags(fs)
	new(setting.Broker).Flags(fs)
	declared := make(map[string]string)
	fs.VisitAll(func(f *flag.Flag) { declared[setting.Env(f.Name)] = f.DefValue })
	if diff := cmp.Diff(declared, told); diff != "" {
		t.Errorf("the table of README.md (-declared +told):\n%s", diff)
	}
}
