//go:build !unix

package seal

import (
	"io/fs"
	"os"
)

// keepOwner does nothing where files have no owner in the sense of Unix.
func keepOwner(*os.File, fs.FileInfo) error { return nil }

// syncFolder does nothing where a folder cannot be synced.
func syncFolder(string) error { return nil }
