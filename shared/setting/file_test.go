package setting_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchbay.dev/shared/setting"
)

func readString(file string) func() (string, error) {
	return func() (string, error) {
		data, err := os.ReadFile(file)
		if err == nil && len(data) == 0 {
			err = errors.New("it is empty")
		}
		return string(data), err
	}
}

// put replaces a file as programs that renew certificates do.
func put(t *testing.T, file, text string) {
	t.Helper()
	next := filepath.Join(filepath.Dir(file), "next")
	if err := errors.Join(os.WriteFile(next, []byte(text), 0o600), os.Rename(next, file)); err != nil {
		t.Fatal(err)
	}
}

func TestFileFollowsChanges(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "file")
	put(t, name, "one")
	f, err := setting.ReadFile(readString(name), name)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "two", "six", "six", "seven"} { // of one length, within one tick of the clock
		put(t, name, text)
		if got, err := f.Reload(); got != text || err != nil {
			t.Errorf("value %q, %v, want %q", got, err, text)
		}
	}
}

func TestFileKeepsItsValueWhileItCannotBeRead(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "file")
	put(t, name, "one")
	f, err := setting.ReadFile(readString(name), name)
	if err != nil {
		t.Fatal(err)
	}
	put(t, name, "")
	for range 2 { // who reloads wants the value of now
		if got, err := f.Reload(); got != "one" || err == nil || !strings.Contains(err.Error(), "it is empty") {
			t.Errorf("value %q, %v, want the old one and why", got, err)
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Reload(); got != "one" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("value %q, %v, want the old one and that the file is gone", got, err)
	}
	put(t, name, "two")
	if got, err := f.Reload(); got != "two" || err != nil {
		t.Errorf("value %q, %v, want the new one", got, err)
	}
}

func TestFileThatIsNotThereIsAnError(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "file")
	if _, err := setting.ReadFile(readString(name), name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestFixedNeverChanges(t *testing.T) {
	t.Parallel()
	f := setting.Fixed("one")
	for _, read := range []func() (string, error){f.Get, f.Reload} {
		if got, err := read(); got != "one" || err != nil {
			t.Errorf("value %q, %v", got, err)
		}
	}
}
