package seal_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"patchbay.dev/shared/seal"
)

// FuzzChangedBlob finds that a blob of which anything was changed does not open.
func FuzzChangedBlob(f *testing.F) {
	ring := generate(f)
	blob := sealed(f, ring)
	f.Add(0, byte(1), []byte{})
	f.Add(1, byte(0xff), []byte{})
	f.Add(9, byte(0x80), []byte{})
	f.Add(len(blob)-1, byte(1), []byte("more"))
	f.Add(0, byte(0), []byte{})
	f.Fuzz(func(t *testing.T, at int, flip byte, more []byte) {
		changed := append(bytes.Clone(blob), more...)
		if at >= 0 && at < len(changed) {
			changed[at] ^= flip
		}
		got, err := ring.Open(changed, binding())
		if bytes.Equal(changed, blob) {
			if err != nil || !bytes.Equal(got, secrets) {
				t.Errorf("Open of the blob itself: %q, %v", got, err)
			}
			return
		}
		// The highest bit of an X25519 key counts for nothing (RFC 7748), but HPKE
		// derives from the bytes as they are sent.
		if err == nil || got != nil {
			t.Errorf("byte %d ^ %#x and %q more: Open = %q, %v", at, flip, more, got, err)
		}
		_, unknown := errors.AsType[*seal.UnknownKeyError](err)
		if !unknown && !errors.Is(err, seal.ErrForeign) && !errors.Is(err, seal.ErrMalformed) {
			t.Errorf("Open: %v, which is none of its errors", err)
		}
	})
}

// FuzzBinding finds that two connectors never have the same associated data.
func FuzzBinding(f *testing.F) {
	f.Add("a", "b", ".c", []byte("{}"), "ab", "", ".c", []byte("{}"))
	f.Add("", "", "", []byte(nil), "", "", "", []byte{})
	f.Add("a", "b", "c", []byte("{}"), "a", "b", "c", []byte("{ }"))
	f.Add("\x00", "", "", []byte{}, "", "\x00", "", []byte{})
	f.Fuzz(func(t *testing.T, space, id, kind string, config []byte, space2, id2, kind2 string, config2 []byte) {
		a := seal.Binding{Space: space, ConnectorID: id, Type: kind, Config: config}
		b := seal.Binding{Space: space2, ConnectorID: id2, Type: kind2, Config: config2}
		same := space == space2 && id == id2 && kind == kind2 && bytes.Equal(config, config2)
		if bytes.Equal(a.Bytes(), b.Bytes()) != same {
			t.Errorf("%+v and %+v: the same: %t", a, b, !same)
		}
	})
}

// FuzzKeyFiles finds that what is read as a key is a whole one, and that nothing
// is both a private and a public key.
func FuzzKeyFiles(f *testing.F) {
	ring := generate(f)
	private, public := filepath.Join(f.TempDir(), "key"), filepath.Join(f.TempDir(), "pub")
	if err := errors.Join(ring.Write(private), ring.Public().Write(public)); err != nil {
		f.Fatal(err)
	}
	for _, file := range []string{private, public} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(append(bytes.Clone(data), data...))
		f.Add(bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n")))
	}
	for _, size := range []int{0, 31, 32, 33} {
		f.Add(pem.EncodeToMemory(&pem.Block{Type: "PATCHBAY SEAL PUBLIC KEY", Bytes: make([]byte, size)}))
		f.Add(pem.EncodeToMemory(&pem.Block{Type: "PATCHBAY SEAL PRIVATE KEY", Bytes: make([]byte, size)}))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(t.TempDir(), "any")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		ring, err := seal.ReadRing(file)
		key, keyErr := seal.ReadPublicKey(file)
		if err == nil && keyErr == nil {
			t.Error("it is both a private and a public key")
		}
		if err == nil {
			blob, err := ring.Public().Seal(secrets, binding())
			if err != nil {
				t.Fatalf("Seal: %v", err)
			}
			if got, err := ring.Open(blob, binding()); err != nil || !bytes.Equal(got, secrets) {
				t.Errorf("Open: %q, %v, want %q", got, err, secrets)
			}
		}
		if keyErr == nil {
			copied := filepath.Join(t.TempDir(), "copy")
			if err := key.Write(copied); err != nil {
				t.Fatal(err)
			}
			if again, err := seal.ReadPublicKey(copied); err != nil || again.ID() != key.ID() {
				t.Errorf("read anew: %v", err)
			}
		}
	})
}
