// Package faults_test starts the real programs (api, worker, nats-server), breaks
// them and the connections between them, and looks at what becomes of executions.
// See README.md.
package faults_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// seed chooses the faults of TestNothingIsLostWhateverBreaks, and when they come.
var seed = flag.Uint64("faults.seed", rand.Uint64(), "seed of the random faults; each run prints its own")

// duration is how long they go on.
var duration = flag.Duration("faults.duration", time.Minute, "how long the random faults go on")

// binaries is the directory of the programs, once they are built.
var binaries string

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaries = dir
	code := m.Run()
	_ = os.RemoveAll(dir) // of the temporary files of this machine
	os.Exit(code)
}

// programs are what is built, and from which module.
var programs = []struct{ name, module, folder, cgo string }{
	{"api", "api", "./cmd/api", "CGO_ENABLED=1"},
	{"worker", "worker", "./cmd/worker", "CGO_ENABLED=0"},
	{"nats-server", "deploy", "github.com/nats-io/nats-server/v2", "CGO_ENABLED=0"},
}

// build builds all programs as they are built for deployment, once.
var build = sync.OnceValue(func() error {
	for _, p := range programs {
		cmd := exec.Command("go", "build", "-o", filepath.Join(binaries, p.name), p.folder)
		cmd.Dir = filepath.Join("..", "..", p.module)
		cmd.Env = append(withoutSettings(), "GOWORK=off", p.cgo)
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", p.name, err, output)
		}
	}
	return nil
})

// withoutSettings is our environment without the settings of whoever runs the test.
func withoutSettings() []string {
	var env []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "PATCHBAY_") {
			env = append(env, entry)
		}
	}
	return env
}
