package deploy_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/deploy/inprocess"
	"patchbay.dev/shared/diagnose"
	"patchbay.dev/shared/setting"
)

func TestSettingsAreKnownAndDocumented(t *testing.T) {
	t.Parallel()
	var config inprocess.Config
	var logging setting.Log
	fs := flag.NewFlagSet("all", flag.ContinueOnError)
	config.Flags(fs)
	logging.Flags(fs)
	new(diagnose.Config).Flags(fs)
	new(diagnose.Metrics).Flags(fs)
	new(setting.Broker).Flags(fs) // of the separate programs
	fs.String("seal-public-key-file", "", "")
	var declared []string
	fs.VisitAll(func(f *flag.Flag) { declared = append(declared, setting.Env(f.Name)) })
	slices.Sort(declared)
	if diff := cmp.Diff(declared, setting.Names()); diff != "" {
		t.Errorf("the list in shared/setting (-declared +listed):\n%s", diff)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range declared {
		if !strings.Contains(string(readme), "`"+name+"`") {
			t.Errorf("README.md does not tell of %s", name)
		}
	}
}
