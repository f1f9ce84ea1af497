package seal_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"patchbay.dev/shared/seal"
)

// ringFile returns a new file with one key, and the ring in it.
func ringFile(t *testing.T) (string, *seal.Ring) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "seal.key")
	ring, err := seal.ReadOrGenerate(file)
	if err != nil {
		t.Fatal(err)
	}
	return file, ring
}

func TestKeyOfNamesTheKeyWithoutOpening(t *testing.T) {
	t.Parallel()
	ring := generate(t)
	blob := sealed(t, ring)
	if id, err := seal.KeyOf(blob); err != nil || id != ring.Public().ID() {
		t.Errorf("KeyOf: %s, %v, want %s", id, err, ring.Public().ID())
	}
	for name, bad := range map[string][]byte{
		"nothing":         nil,
		"half a head":     blob[:40],
		"another version": append([]byte{9}, blob[1:]...),
	} {
		if id, err := seal.KeyOf(bad); !errors.Is(err, seal.ErrMalformed) || id != (seal.KeyID{}) {
			t.Errorf("KeyOf of %s: %s, %v, want %v", name, id, err, seal.ErrMalformed)
		}
	}
}

func TestResealSealsToTheNewest(t *testing.T) {
	t.Parallel()
	file, before := ringFile(t)
	old := sealed(t, before)
	ring, err := seal.AddKey(file)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := ring.Reseal(old, binding().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if id, _ := seal.KeyOf(blob); id != ring.Public().ID() || id == before.Public().ID() {
		t.Errorf("sealed to %s, want %s", id, ring.Public().ID())
	}
	if got, err := ring.Open(blob, binding()); err != nil || !bytes.Equal(got, secrets) {
		t.Errorf("Open: %q, %v, want %q", got, err, secrets)
	}
	if again, err := ring.Reseal(blob, binding().Bytes()); err != nil || !bytes.Equal(again, blob) {
		t.Errorf("Reseal of what is sealed to the newest: %v, want the same bytes", err)
	}
	other := binding()
	other.ConnectorID = "other"
	for name, b := range map[string][]byte{"old": old, "new": blob} {
		if got, err := ring.Reseal(b, other.Bytes()); !errors.Is(err, seal.ErrForeign) || got != nil {
			t.Errorf("Reseal of an %s blob of another connector: %q, %v, want %v", name, got, err, seal.ErrForeign)
		}
	}
	if _, err := before.Reseal(blob, binding().Bytes()); err == nil {
		t.Error("a ring without the key seals anew")
	}
}

func TestAddAndPruneKeepModeAndTheNewest(t *testing.T) {
	t.Parallel()
	file, first := ringFile(t)
	if err := os.Chmod(file, 0o400); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link") // as some mount secrets
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	rings := []*seal.Ring{first}
	for range 2 {
		ring, err := seal.AddKey(link)
		if err != nil {
			t.Fatal(err)
		}
		rings = append(rings, ring)
	}
	newest := rings[2]
	if newest.Has(generate(t).Public().ID()) {
		t.Error("the ring has a key that was never added")
	}
	for _, each := range rings {
		if !newest.Has(each.Public().ID()) {
			t.Errorf("the ring lacks %s", each.Public().ID())
		}
		if got, err := newest.Open(sealed(t, each), binding()); err != nil || !bytes.Equal(got, secrets) {
			t.Errorf("Open with all keys: %q, %v, want %q", got, err, secrets)
		}
	}
	pruned, removed, err := seal.PruneKeys(link)
	if err != nil || removed != 2 || pruned.Public().ID() != newest.Public().ID() {
		t.Fatalf("PruneKeys: %d removed, %v", removed, err)
	}
	read, err := seal.ReadRing(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, ring := range []*seal.Ring{pruned, read} {
		if _, err := ring.Open(sealed(t, newest), binding()); err != nil {
			t.Errorf("Open with the newest: %v", err)
		}
		for _, old := range rings[:2] {
			if _, err := ring.Open(sealed(t, old), binding()); err == nil || ring.Has(old.Public().ID()) {
				t.Error("a key that was pruned is still there")
			}
		}
	}
	if _, removed, err := seal.PruneKeys(file); err != nil || removed != 0 {
		t.Errorf("PruneKeys again: %d removed, %v, want none", removed, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the link: %v, %v", info, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("the file: %v, %v, want mode 0400", info, err)
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("the folder has %v, %v, want the file alone", left, err)
	}
}

// Whoever adds at the same time as another is refused, or added after him.
func TestNoKeyIsLostWhenManyAreAddedAtOnce(t *testing.T) {
	t.Parallel()
	file, first := ringFile(t)
	var added atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				_, err := seal.AddKey(file)
				if err == nil {
					added.Add(1)
				} else if !strings.Contains(err.Error(), "is being changed by another process") {
					t.Errorf("AddKey: %v", err)
				}
				if ring, err := seal.ReadRing(file); err != nil { // whole at any moment
					t.Errorf("ReadRing: %v", err)
				} else if _, err := ring.Open(sealed(t, first), binding()); err != nil {
					t.Errorf("Open with the first key: %v", err)
				}
			}
		})
	}
	wg.Wait()
	_, removed, err := seal.PruneKeys(file)
	if err != nil || int64(removed) != added.Load() || removed == 0 {
		t.Errorf("%d keys beside the newest, %v, want %d, as many as were added", removed, err, added.Load())
	}
}

func TestAChangeThatFailsLeavesTheFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "seal.key")
	if _, err := seal.AddKey(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("AddKey to no file: %v, want %v", err, fs.ErrNotExist)
	}
	if err := os.WriteFile(file, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, addErr := seal.AddKey(file)
	_, _, pruneErr := seal.PruneKeys(file)
	for _, err := range []error{addErr, pruneErr, generate(t).Public().Publish(file)} {
		if err == nil || !strings.Contains(err.Error(), "only PEM blocks") {
			t.Errorf("change of garbage: %v, want a refusal", err)
		}
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "garbage" {
		t.Errorf("the file: %q, %v, want it as it was", data, err)
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("the folder has %v, %v, want the file alone", left, err)
	}
}

func TestPublishReplacesThePublicKey(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "seal.pub")
	for range 2 { // the first makes the file
		want := generate(t).Public()
		if err := want.Publish(file); err != nil {
			t.Fatal(err)
		}
		if got, err := seal.ReadPublicKey(file); err != nil || got.ID() != want.ID() {
			t.Errorf("published: %v, want %s", err, want.ID())
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the file: %v, %v, want mode 0644", info, err)
	}
}

func TestKeysFollowTheirFiles(t *testing.T) {
	t.Parallel()
	file, _ := ringFile(t)
	ring, err := seal.FollowRing(file)
	if err != nil {
		t.Fatal(err)
	}
	newest, err := seal.FollowNewest(file)
	if err != nil {
		t.Fatal(err)
	}
	public := filepath.Join(t.TempDir(), "seal.pub")
	if err := generate(t).Public().Publish(public); err != nil {
		t.Fatal(err)
	}
	published, err := seal.FollowPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	added, err := seal.AddKey(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := added.Public().Publish(public); err != nil {
		t.Fatal(err)
	}
	if got, err := ring.Reload(); err != nil || got.Public().ID() != added.Public().ID() {
		t.Errorf("ring: %v, want the key that was added", err)
	}
	if got, err := newest.Reload(); err != nil || got.ID() != added.Public().ID() {
		t.Errorf("newest: %v, want the key that was added", err)
	}
	if got, err := published.Reload(); err != nil || got.ID() != added.Public().ID() {
		t.Errorf("published: %v, want the key that was added", err)
	}
	for name, follow := range map[string]func(string) error{
		"ring":   func(f string) error { _, err := seal.FollowRing(f); return err },
		"newest": func(f string) error { _, err := seal.FollowNewest(f); return err },
		"public": func(f string) error { _, err := seal.FollowPublicKey(f); return err },
	} {
		if err := follow(file + "-none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of no file: %v, want %v", name, err, fs.ErrNotExist)
		}
	}
}
