package deploy_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestNoProgramServesItsProfilesToOthers(t *testing.T) {
	t.Parallel()
	for module, folder := range map[string]string{"api": "./cmd/api", "worker": "./cmd/worker", "deploy": "./allinone"} {
		t.Run(module, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), build(t, module, folder), "-diagnostics-addr=0.0.0.0:0")
			cmd.Dir = t.TempDir()
			for _, entry := range os.Environ() {
				if !strings.HasPrefix(entry, "PATCHBAY_") {
					cmd.Env = append(cmd.Env, entry)
				}
			}
			output, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(output), "PATCHBAY_DIAGNOSTICS_ADDR: ") {
				t.Errorf("start: %v, %s, want a refusal that names the setting", err, output)
			}
		})
	}
}
