package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestReadOnlyDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for d, mode := range map[string]os.FileMode{dir: 0o555, filepath.Dir(dir): 0o755} {
		if err := os.Chmod(d, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	opened := make(chan error)
	go func() { opened <- openAsNobody(t, dir) }()
	if err := <-opened; !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v, want permission denied and the directory", err)
	}
}

// openAsNobody opens a directory without root's power over files. The thread
// that lost it ends with the goroutine.
func openAsNobody(t *testing.T, dir string) error {
	if os.Getuid() == 0 {
		runtime.LockOSThread()
		const nobody = 65534
		_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0)
	}
	s, err := Open(t.Context(), dir, Options{})
	if err == nil {
		s.Close()
	}
	return err
}
