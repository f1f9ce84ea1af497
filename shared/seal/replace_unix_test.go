//go:build unix

package seal_test

import (
	"os"
	"syscall"
	"testing"

	"patchbay.dev/shared/seal"
)

func TestAKeyThatRootAddsIsStillTheWorkers(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can give a file to another user")
	}
	file, _ := ringFile(t)
	if err := os.Chown(file, 65532, 65531); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.AddKey(file); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 65532 || stat.Gid != 65531 {
		t.Errorf("the file is of %d:%d, want 65532:65531", stat.Uid, stat.Gid)
	}
}
