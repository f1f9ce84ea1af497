package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"patchbay.dev/shared/seal"
)

func TestWorkerKeysGoThroughARotation(t *testing.T) {
	t.Parallel()
	worker := build(t, "worker", "./cmd/worker", "CGO_ENABLED=0")
	dir := t.TempDir()
	private, public := filepath.Join(dir, "seal.key"), filepath.Join(dir, "seal.pub")
	keys := func(command string) (string, error) {
		cmd := exec.CommandContext(t.Context(), worker, "keys", command)
		cmd.Env = []string{"PATCHBAY_SEAL_KEY_FILE=" + private, "PATCHBAY_SEAL_PUBLIC_KEY_FILE=" + public}
		output, err := cmd.CombinedOutput()
		return string(output), err
	}
	newest := func() string {
		t.Helper()
		ring, err := seal.ReadRing(private)
		if err != nil {
			t.Fatal(err)
		}
		return ring.Public().ID().String()
	}
	published := func() string {
		t.Helper()
		key, err := seal.ReadPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		return key.ID().String()
	}
	if output, err := keys("add"); err == nil || !strings.Contains(output, "PATCHBAY_SEAL_KEY_FILE: ") {
		t.Errorf("keys add without a file: %s %v, want a refusal", output, err)
	}
	if output, err := keys("generate"); err != nil {
		t.Fatal(output, err)
	}
	first := newest()
	if output, err := keys("add"); err != nil || !strings.Contains(output, newest()) || newest() == first || published() != first {
		t.Fatalf("keys add: %s %v, newest %s, published %s", output, err, newest(), published())
	}
	if output, err := keys("prune"); err == nil || !strings.Contains(output, "publish it and rotate first") {
		t.Errorf("keys prune before the new key is published: %s %v, want a refusal", output, err)
	}
	if output, err := keys("publish"); err != nil || published() != newest() {
		t.Errorf("keys publish: %s %v, published %s, want %s", output, err, published(), newest())
	}
	if output, err := keys("prune"); err != nil || !strings.HasPrefix(output, "older keys removed: 1;") || newest() != published() {
		t.Errorf("keys prune: %s %v", output, err)
	}
	if err := os.Remove(public); err != nil { // as where only workers are
		t.Fatal(err)
	}
	if output, err := keys("prune"); err != nil || !strings.HasPrefix(output, "older keys removed: 0;") {
		t.Errorf("keys prune again: %s %v", output, err)
	}
}
