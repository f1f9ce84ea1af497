package deploy_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Profiles are for nobody else; and an address that is no good stops the start.
func TestProgramsRefuseAddressesForDiagnostics(t *testing.T) {
	t.Parallel()
	for module, folder := range map[string]string{"api": "./cmd/api", "worker": "./cmd/worker", "deploy": "./allinone"} {
		t.Run(module, func(t *testing.T) {
			t.Parallel()
			file := build(t, module, folder)
			for setting, value := range map[string]string{"PATCHBAY_DIAGNOSTICS_ADDR": "0.0.0.0:0", "PATCHBAY_METRICS_ADDR": "nonsense"} {
				cmd := exec.CommandContext(t.Context(), file)
				cmd.Dir = t.TempDir()
				for _, entry := range os.Environ() {
					if !strings.HasPrefix(entry, "PATCHBAY_") {
						cmd.Env = append(cmd.Env, entry)
					}
				}
				cmd.Env = append(cmd.Env, setting+"="+value)
				output, err := cmd.CombinedOutput()
				if err == nil || !strings.Contains(string(output), setting+": ") {
					t.Errorf("start: %v, %s, want a refusal that names %s", err, output, setting)
				}
			}
		})
	}
}
