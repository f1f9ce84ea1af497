package inprocess

import (
	"fmt"
	"os"
	"path/filepath"

	"patchbay.dev/shared/seal"
)

// KeyFile returns the file of the keys that seal and open secrets.
func (c *Config) KeyFile() string {
	if c.keyFile != "" {
		return c.keyFile
	}
	return filepath.Join(c.API.DataDir, "seal.key")
}

// followKeys has api and worker follow the one file of keys. At the first start
// it makes the one in the data directory.
func (c *Config) followKeys() error {
	if c.keyFile == "" {
		if err := os.MkdirAll(c.API.DataDir, 0o700); err != nil {
			return fmt.Errorf("make data directory: %w", err)
		}
		if _, err := seal.ReadOrGenerate(c.KeyFile()); err != nil {
			return fmt.Errorf("PATCHBAY_SEAL_KEY_FILE: %w", err)
		}
	}
	var err error
	if c.Worker.Ring, err = seal.FollowRing(c.KeyFile()); err != nil {
		return fmt.Errorf("PATCHBAY_SEAL_KEY_FILE: %w", err)
	}
	if c.API.SealKey, err = seal.FollowNewest(c.KeyFile()); err != nil {
		return fmt.Errorf("PATCHBAY_SEAL_KEY_FILE: %w", err)
	}
	return nil
}
