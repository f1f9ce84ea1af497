package worker

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/wire"
)

// keyFile is a file of keys and an opener that follows it.
type keyFile struct {
	*testing.T
	name   string
	opener *opener
	log    *bytes.Buffer
}

func newKeyFile(t *testing.T) *keyFile {
	t.Helper()
	f := &keyFile{T: t, name: filepath.Join(t.TempDir(), "seal.key"), log: new(bytes.Buffer)}
	if _, err := seal.ReadOrGenerate(f.name); err != nil {
		t.Fatal(err)
	}
	file, err := seal.FollowRing(f.name)
	if err != nil {
		t.Fatal(err)
	}
	f.opener = newOpener(file, slog.New(slog.NewTextHandler(f.log, nil)))
	return f
}

func (f *keyFile) add() *seal.Ring {
	f.Helper()
	ring, err := seal.AddKey(f.name)
	if err != nil {
		f.Fatal(err)
	}
	return ring
}

func (f *keyFile) prune() {
	f.Helper()
	if _, _, err := seal.PruneKeys(f.name); err != nil {
		f.Fatal(err)
	}
}

func (f *keyFile) open(c *wire.Connector) error {
	got, err := f.opener.open("ops", c)
	if err == nil && string(got) != secrets {
		f.Errorf("open: %s, want %s", got, secrets)
	}
	return err
}

func TestAKeyThatWasAddedOpensAtOnce(t *testing.T) {
	t.Parallel()
	f := newKeyFile(t)
	for range 3 { // each within the second in which the file counts as fresh
		if err := f.open(sealed(t, f.add())); err != nil {
			t.Errorf("open with a new key: %v", err)
		}
	}
	if !strings.Contains(f.log.String(), "keys of the seal have changed") {
		t.Errorf("log: %s, want the change", f.log)
	}
}

func TestAKeyThatWasRemovedOpensNothingAnyMore(t *testing.T) {
	t.Parallel()
	f := newKeyFile(t)
	old := sealed(t, f.opener.ring)
	if err := f.open(old); err != nil { // and is in memory
		t.Fatal(err)
	}
	f.add()
	f.prune()
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := f.open(old)
		if _, ok := errors.AsType[*seal.UnknownKeyError](err); ok {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("open: %v, want the key to be unknown after a second", err)
		}
	}
}

// An execution that began before the key was removed may end after it.
func TestWhatARemovedKeyOpensLateIsNotRemembered(t *testing.T) {
	t.Parallel()
	f := newKeyFile(t)
	before := f.opener.ring
	c := sealed(t, before)
	f.add()
	f.prune()
	f.opener.use(f.opener.file.Reload)
	binding := seal.Binding{Space: "ops", ConnectorID: c.ID, Type: c.Type, Config: c.Config}
	if got, err := f.opener.openWith(before, c.Secrets, binding); err != nil || string(got) != secrets {
		t.Errorf("open with the ring from before: %s, %v, want %s", got, err, secrets)
	}
	if _, ok := errors.AsType[*seal.UnknownKeyError](f.open(c)); !ok {
		t.Error("a key that was removed still opens, from memory")
	}
}

func TestAFloodForALostKeyIsNoFloodOfLooks(t *testing.T) {
	t.Parallel()
	f := newKeyFile(t)
	foreign := sealed(t, newRing(t))
	start := time.Now()
	const callers = 100
	ended := make(chan error)
	for range callers {
		go func() { ended <- f.open(foreign) }()
	}
	for range callers {
		if _, ok := errors.AsType[*seal.UnknownKeyError](<-ended); !ok {
			t.Error("a lost key opens")
		}
	}
	if took := time.Since(start); took > 5*time.Second { // each after the other: 10 s
		t.Errorf("%d callers took %s, want them to share a look", callers, took)
	}
	before := f.opener.looked
	if err := f.open(foreign); err == nil {
		t.Error("a lost key opens")
	}
	if pause := f.opener.looked.Sub(before); pause < lookAgain {
		t.Errorf("looked again after %s, want %s at least", pause, lookAgain)
	}
}

func TestAFileThatCannotBeReadLeavesTheKeysAndIsLogged(t *testing.T) {
	t.Parallel()
	f := newKeyFile(t)
	ours := sealed(t, f.opener.ring)
	if err := os.WriteFile(f.name, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := f.opener.reseal(nil); len(got) != 0 { // it looks at once
		t.Errorf("results: %v", got)
	}
	if err := f.open(ours); err != nil {
		t.Errorf("open: %v", err)
	}
	if !strings.Contains(f.log.String(), "keys of the seal cannot be read") || !strings.Contains(f.log.String(), "only PEM blocks") {
		t.Errorf("log: %s, want the file and what is wrong", f.log)
	}
}

func TestResealUsesTheNewestKeyOfTheFileAndTellsOfEachItem(t *testing.T) {
	t.Parallel()
	f := newKeyFile(t)
	c, foreign := sealed(t, f.opener.ring), sealed(t, newRing(t))
	binding := seal.Binding{Space: "ops", ConnectorID: c.ID, Type: c.Type, Config: c.Config}
	newest := f.add()
	got := f.opener.reseal([]wire.Sealed{
		{Binding: binding.Bytes(), Secrets: c.Secrets},
		{Binding: binding.Bytes(), Secrets: foreign.Secrets},
		{Binding: []byte("another"), Secrets: c.Secrets},
		{Binding: binding.Bytes()},
		{},
	})
	if len(got) != 5 {
		t.Fatalf("%d results, want 5", len(got))
	}
	if id, err := seal.KeyOf(got[4].Secrets); err != nil || id != newest.Public().ID() || got[4].Error != "" {
		t.Errorf("nothing is sealed to %s, %v %s, want %s", id, err, got[4].Error, newest.Public().ID())
	}
	got = got[:4]
	if id, err := seal.KeyOf(got[0].Secrets); err != nil || id != newest.Public().ID() || got[0].Error != "" {
		t.Errorf("sealed to %s, %v %s, want %s", id, err, got[0].Error, newest.Public().ID())
	}
	c.Secrets = got[0].Secrets
	if err := f.open(c); err != nil {
		t.Errorf("open: %v", err)
	}
	for i, want := range []string{"", "sealed to the key", seal.ErrForeign.Error(), seal.ErrMalformed.Error()} {
		if i > 0 && (got[i].Secrets != nil || !strings.Contains(got[i].Error, want)) {
			t.Errorf("item %d: %q %q, want the error %q", i, got[i].Secrets, got[i].Error, want)
		}
	}
}

func TestResealWithoutAKeySaysWhatToSet(t *testing.T) {
	t.Parallel()
	got := newOpener(nil, nil).reseal(make([]wire.Sealed, 2))
	if len(got) != 2 || !strings.Contains(got[1].Error, "PATCHBAY_SEAL_KEY_FILE") {
		t.Errorf("results: %v", got)
	}
}
