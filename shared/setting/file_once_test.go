package setting

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestGetTellsOncePerChangeThatAFileCannotBeRead(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := ReadFile(func() (string, error) {
		data, err := os.ReadFile(name)
		if string(data) != "one" {
			err = errors.Join(err, errors.New("it is "+string(data)))
		}
		return string(data), err
	}, name)
	if err != nil {
		t.Fatal(err)
	}
	get := func(f *File[string]) (string, error) {
		f.looked = time.Time{} // a second is over
		return f.Get()
	}
	for _, text := range []string{"broken", "worse"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := get(f); got != "one" || err == nil {
			t.Errorf("%s: value %q, %v, want the old one and why", text, got, err)
		}
		if got, err := f.Reload(); got != "one" || err == nil {
			t.Errorf("%s: value %q, %v of a Reload, want the error again", text, got, err)
		}
		if got, err := get(f); got != "one" || err != nil {
			t.Errorf("%s: value %q, %v: Get tells an error once", text, got, err)
		}
	}
}
