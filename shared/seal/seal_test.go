package seal_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchbay.dev/shared/seal"
)

var secrets = []byte(`{"email":"a@example.com","apiToken":"s3cr3t-t0ken"}`)

func binding() seal.Binding {
	return seal.Binding{Space: "default", ConnectorID: "jira-1", Type: ".jira", Config: []byte(`{"apiUrl":"https://jira.example.com"}`)}
}

func generate(t testing.TB) *seal.Ring {
	t.Helper()
	ring, err := seal.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func sealed(t testing.TB, ring *seal.Ring) []byte {
	t.Helper()
	blob, err := ring.Public().Seal(secrets, binding())
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

func TestWhatWasSealedOpens(t *testing.T) {
	t.Parallel()
	ring := generate(t)
	blob := sealed(t, ring)
	if bytes.Contains(blob, []byte("s3cr3t")) {
		t.Errorf("the blob shows the secret: %q", blob)
	}
	if again := sealed(t, ring); bytes.Equal(blob, again) {
		t.Error("the same secrets seal to the same bytes")
	}
	got, err := ring.Open(blob, binding())
	if err != nil || !bytes.Equal(got, secrets) {
		t.Errorf("Open: %q, %v, want %q", got, err, secrets)
	}
}

func TestABlobOpensForItsConnectorOnly(t *testing.T) {
	t.Parallel()
	ring := generate(t)
	blob := sealed(t, ring)
	for name, change := range map[string]func(*seal.Binding){
		"space":  func(b *seal.Binding) { b.Space = "other" },
		"id":     func(b *seal.Binding) { b.ConnectorID = "jira-2" },
		"type":   func(b *seal.Binding) { b.Type = ".webhook" },
		"config": func(b *seal.Binding) { b.Config = []byte(`{"apiUrl":"https://evil.example.com"}`) },
		"a blank in the config": func(b *seal.Binding) {
			b.Config = append(bytes.Clone(b.Config), ' ')
		},
		"a letter moved from one part to the next": func(b *seal.Binding) {
			b.Space, b.ConnectorID = "defaul", "tjira-1"
		},
	} {
		b := binding()
		change(&b)
		if got, err := ring.Open(blob, b); !errors.Is(err, seal.ErrForeign) || got != nil {
			t.Errorf("another %s: %q, %v, want %v", name, got, err, seal.ErrForeign)
		}
	}
}

// Neither the params of another execution nor the connector's secrets.
func TestSealedParamsOpenForTheirExecutionOnly(t *testing.T) {
	t.Parallel()
	ring := generate(t)
	binding := seal.ParamsBinding("ops", "jira-1", ".jira", "e1")
	blob, err := ring.Public().Seal([]byte(`{"a":1}`), binding)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ring.Open(blob, binding); err != nil || string(got) != `{"a":1}` {
		t.Errorf("Open: %q, %v", got, err)
	}
	for _, other := range []seal.Binding{
		seal.ParamsBinding("ops", "jira-1", ".jira", "e2"), seal.ParamsBinding("ops", "jira-1", ".index", "e1"),
		seal.ParamsBinding("ops", "jira-2", ".jira", "e1"), seal.ParamsBinding("dev", "jira-1", ".jira", "e1"),
		{Space: "ops", ConnectorID: "jira-1", Type: ".jira", Config: []byte(`{}`)},
	} {
		if got, err := ring.Open(blob, other); !errors.Is(err, seal.ErrForeign) {
			t.Errorf("Open with %+v: %q, %v, want %v", other, got, err, seal.ErrForeign)
		}
	}
}

func TestAChangedBlobDoesNotOpen(t *testing.T) {
	t.Parallel()
	ring := generate(t)
	blob := sealed(t, ring)
	for i := range blob {
		changed := bytes.Clone(blob)
		changed[i] ^= 1
		if got, err := ring.Open(changed, binding()); err == nil || got != nil {
			t.Fatalf("byte %d changed: %q, %v, want an error", i, got, err)
		}
	}
	for n := range blob {
		if got, err := ring.Open(blob[:n], binding()); err == nil || got != nil {
			t.Fatalf("cut to %d bytes: %q, %v, want an error", n, got, err)
		}
	}
}

func TestAnotherKeyIsNamed(t *testing.T) {
	t.Parallel()
	theirs, ours := generate(t), generate(t)
	_, err := ours.Open(sealed(t, theirs), binding())
	unknown, ok := errors.AsType[*seal.UnknownKeyError](err)
	if !ok || unknown.ID != theirs.Public().ID() || !strings.Contains(err.Error(), theirs.Public().ID().String()) {
		t.Errorf("Open: %v, want an error that names %s", err, theirs.Public().ID())
	}
}

func TestKeysSurviveTheirFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	private, public := filepath.Join(dir, "seal.key"), filepath.Join(dir, "seal.pub")
	ring, err := seal.ReadOrGenerate(private)
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.Public().Write(public); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(private); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("private key: %v, %v, want mode 0600", info.Mode(), err)
	}
	key, err := seal.ReadPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := key.Seal(secrets, binding())
	if err != nil {
		t.Fatal(err)
	}
	again, err := seal.ReadOrGenerate(private)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Open(blob, binding()); err != nil || !bytes.Equal(got, secrets) {
		t.Errorf("Open: %q, %v, want %q", got, err, secrets)
	}
	if err := ring.Write(private); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Write over a key: %v, want %v", err, fs.ErrExist)
	}
}

func TestARingOpensWithEveryKeyAndSealsWithTheFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "new"), filepath.Join(dir, "old")}
	var text []byte
	var rings []*seal.Ring
	for _, file := range files {
		ring, err := seal.ReadOrGenerate(file)
		if err != nil {
			t.Fatal(err)
		}
		rings = append(rings, ring)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, data...)
	}
	both := filepath.Join(dir, "both")
	if err := os.WriteFile(both, text, 0o600); err != nil {
		t.Fatal(err)
	}
	ring, err := seal.ReadRing(both)
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range rings {
		if got, err := ring.Open(sealed(t, each), binding()); err != nil || !bytes.Equal(got, secrets) {
			t.Errorf("Open: %q, %v, want %q", got, err, secrets)
		}
	}
	if got, want := ring.Public().ID(), rings[0].Public().ID(); got != want {
		t.Errorf("seals with %s, want the first, %s", got, want)
	}
}

func TestBadKeyFilesAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	if _, err := seal.ReadOrGenerate(good); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, text string
		mode       fs.FileMode
		want       string
	}{
		{"readable by others", string(text), 0o644, "others can read it (mode 0644)"},
		{"readable by the group", string(text), 0o640, "others can read it (mode 0640)"},
		{"empty", "", 0o600, "no key in it"},
		{"garbage", "garbage", 0o600, "only PEM blocks"},
		{"garbage after a key", string(text) + "garbage", 0o600, "only PEM blocks"},
		{"another kind", strings.ReplaceAll(string(text), "PRIVATE", "PUBLIC"), 0o600, "only PEM blocks"},
		{"a key cut short", "-----BEGIN PATCHBAY SEAL PRIVATE KEY-----\nAAAA\n-----END PATCHBAY SEAL PRIVATE KEY-----\n", 0o600, "not valid"},
	} {
		file := filepath.Join(dir, "bad "+test.name)
		if err := os.WriteFile(file, []byte(test.text), test.mode); err != nil {
			t.Fatal(err)
		}
		// Also where a missing file would be made.
		if _, err := seal.ReadOrGenerate(file); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if after, err := os.ReadFile(file); err != nil || string(after) != test.text {
			t.Errorf("%s: the file was changed", test.name)
		}
	}
}

func FuzzOpen(f *testing.F) {
	ring := generate(f)
	f.Add(sealed(f, ring))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, blob []byte) {
		got, err := ring.Open(blob, seal.Binding{})
		if err == nil || got != nil {
			t.Errorf("Open(%x): %q, %v, want an error", blob, got, err)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	ring := generate(b)
	blob := sealed(b, ring)
	for b.Loop() {
		if _, err := ring.Open(blob, binding()); err != nil {
			b.Fatal(err)
		}
	}
}
