package main

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"patchbay.dev/api/store"
	"patchbay.dev/shared/seal"
)

func TestSealKeysAreAddedAndPruned(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	environ := []string{"PATCHBAY_DATA_DIR=" + dir}
	call := func(args ...string) (string, error) {
		var stdout bytes.Buffer
		err := run(t.Context(), append([]string{"seal-keys"}, args...), environ, &stdout, io.Discard)
		return stdout.String(), err
	}
	if _, err := call("add"); err == nil || !strings.HasPrefix(err.Error(), "PATCHBAY_SEAL_KEY_FILE: ") {
		t.Errorf("add before the first start: %v, want a refusal", err)
	}
	first, err := seal.ReadOrGenerate(filepath.Join(dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	added, err := call("add")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.ReadRing(filepath.Join(dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	if ring.Public().ID() == first.Public().ID() || !strings.Contains(added, ring.Public().ID().String()) {
		t.Errorf("add: %s, newest %s", added, ring.Public().ID())
	}
	db, err := store.Open(t.Context(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	// A flag wins over the variable.
	pruned, err := call("prune", "-seal-key-file="+filepath.Join(dir, "seal.key"))
	if err != nil || !strings.HasPrefix(pruned, "older keys removed: 1;") || !strings.Contains(pruned, ring.Public().ID().String()) {
		t.Errorf("prune: %s, %v", pruned, err)
	}
	for _, args := range [][]string{nil, {"drop"}} {
		if _, err := call(args...); err == nil || !strings.HasPrefix(err.Error(), "usage: ") {
			t.Errorf("%v: %v, want how it is used", args, err)
		}
	}
}
