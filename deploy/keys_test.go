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
	keys := func(command string, flags ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), worker, append([]string{"keys", command}, flags...)...)
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
	// As "docker compose up" does, each time.
	if output, err := keys("generate"); err != nil || published() != first || !strings.Contains(output, "next: worker keys publish") {
		t.Errorf("keys generate before the new key is published: %s %v, published %s", output, err, published())
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
	before, err := seal.ReadPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(public); err != nil { // as where only workers are
		t.Fatal(err)
	}
	if output, err := keys("add"); err != nil {
		t.Fatal(output, err)
	}
	added := newest()
	if output, err := keys("prune"); err == nil || !strings.Contains(output, "PATCHBAY_SEAL_PUBLIC_KEY_FILE: ") || !strings.Contains(output, "-published-elsewhere") {
		t.Errorf("keys prune without the public key: %s %v, want a refusal", output, err)
	}
	if ring, err := seal.ReadRing(private); err != nil || !ring.Has(before.ID()) {
		t.Fatalf("the refused prune removed a key: %v", err)
	}
	if output, err := keys("prune", "-published-elsewhere"); err != nil || !strings.HasPrefix(output, "older keys removed: 1;") || newest() != added {
		t.Errorf("keys prune -published-elsewhere: %s %v", output, err)
	}
	other, err := seal.Generate()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Public().Write(public); err != nil {
		t.Fatal(err)
	}
	if output, err := keys("prune", "-published-elsewhere"); err == nil || !strings.Contains(output, "publish it and rotate first") {
		t.Errorf("keys prune -published-elsewhere where another key is published: %s %v, want a refusal", output, err)
	}
}
