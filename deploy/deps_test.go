// Package deploy_test proves that the parts fit together as the design says.
package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// walls says of each program and package what it must never link.
var walls = map[string][]string{
	"patchbay.dev/api/cmd/api": {
		"patchbay.dev/worker",
		"github.com/andygrunwald/go-jira",
		"code.dny.dev/ssrf",
		"github.com/elastic/go-elasticsearch",
		"github.com/nats-io/nats-server",
		"testing",
	},
	"patchbay.dev/worker/cmd/worker": {
		"patchbay.dev/api",
		"github.com/labstack/echo",
		"github.com/jmoiron/sqlx",
		"github.com/mattn/go-sqlite3",
		"database/sql",
		"github.com/nats-io/nats-server",
		"runtime/cgo",
		"testing",
	},
	"patchbay.dev/deploy/allinone": {"testing"},
}

func TestProgramsLinkOnlyWhatTheyMay(t *testing.T) {
	t.Parallel()
	for program, forbidden := range walls {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			list := exec.CommandContext(t.Context(), "go", "list", "-deps", program)
			if program == "patchbay.dev/worker/cmd/worker" {
				list.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is built for deployment
			}
			output, err := list.Output()
			if err != nil {
				t.Fatalf("go list: %v", err)
			}
			packages := strings.Fields(string(output))
			if !slices.Contains(packages, program) {
				t.Fatalf("%s does not list itself: %s", program, output)
			}
			for _, p := range packages {
				for _, f := range forbidden {
					if p == f || strings.HasPrefix(p, f+"/") {
						t.Errorf("links %s", p)
					}
				}
			}
		})
	}
}

func TestSharedRequiresNothing(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("../shared/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mod), "require") {
		t.Errorf("shared/go.mod requires something:\n%s", mod)
	}
	imports := exec.CommandContext(t.Context(), "go", "list", "-test", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "patchbay.dev/shared/...")
	output, err := imports.Output()
	if err != nil {
		t.Fatal(err)
	}
	for p := range strings.FieldsSeq(string(output)) {
		if !strings.HasPrefix(p, "patchbay.dev/shared/") && !strings.HasPrefix(p, "[patchbay.dev/shared/") {
			t.Errorf("shared imports %s", p)
		}
	}
}

func TestTopLevelIsWhatTheReadmeMaps(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"README.md", "api", "deploy", "docker-compose.yml", "go.work", "shared", "worker"}
	for _, e := range entries {
		// A data folder is what running the all-in-one leaves here.
		if name := e.Name(); !strings.HasPrefix(name, ".") && name != "data" && !slices.Contains(want, name) {
			t.Errorf("%s stands at the top level", name)
		}
	}
	for _, name := range want {
		if _, err := os.Stat(filepath.Join("..", name)); err != nil {
			t.Errorf("%s is missing", name)
		}
	}
}
