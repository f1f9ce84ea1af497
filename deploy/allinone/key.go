package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"patchbay.dev/api/ledger"
	"patchbay.dev/api/store"
	"patchbay.dev/deploy/inprocess"
	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
)

// changeKeys is "allinone seal-keys add" and "allinone seal-keys prune": the one
// that runs follows the file by itself.
func changeKeys(ctx context.Context, args, environ []string, stdout io.Writer) error {
	if len(args) == 0 || args[0] != "add" && args[0] != "prune" {
		return fmt.Errorf("usage: allinone seal-keys add|prune [flags]")
	}
	var config inprocess.Config
	fs := flag.NewFlagSet("allinone seal-keys "+args[0], flag.ContinueOnError)
	config.Flags(fs)
	if _, err := setting.Parse(fs, args[1:], environ); err != nil {
		return err
	}
	file := config.KeyFile()
	if args[0] == "add" {
		ring, err := seal.AddKey(file)
		if err != nil {
			return fmt.Errorf("PATCHBAY_SEAL_KEY_FILE: %w", err)
		}
		_, err = fmt.Fprintf(stdout, "key %s is the newest of %s; next: POST /api/actions/_rotate_secrets\n", ring.Public().ID(), file)
		return err
	}
	ring, err := seal.ReadRing(file)
	if err != nil {
		return fmt.Errorf("PATCHBAY_SEAL_KEY_FILE: %w", err)
	}
	if err := checkRotated(ctx, config.API.DataDir, ring); err != nil {
		return fmt.Errorf("PATCHBAY_DATA_DIR: %w", err)
	}
	ring, removed, err := seal.PruneKeys(file)
	if err != nil {
		return fmt.Errorf("PATCHBAY_SEAL_KEY_FILE: %w", err)
	}
	_, err = fmt.Fprintf(stdout, "older keys removed: %d; %s has the key %s\n"+
		"Secrets of preconfigured connectors are in memory alone, where this command cannot look: without a rotation since\n"+
		"the newest key was added, restart what runs.\n", removed, file, ring.Public().ID())
	return err
}

// checkRotated returns an error if a stored connector or dead letter is sealed to a key
// of the ring that is not the newest. The databases may be in use.
func checkRotated(ctx context.Context, dir string, ring *seal.Ring) (err error) {
	if _, err := os.Stat(filepath.Join(dir, store.FileName)); err != nil {
		return err // and no new one is made, in which all would be well
	}
	db, err := store.Open(ctx, dir, store.Options{Beside: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for last := ""; ; {
		page, err := db.Sealed(ctx, last, 100, 1<<20)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, c := range page {
			if older(ring, c.Secrets) {
				return fmt.Errorf("connector %s of the space %s is sealed to an older key: %s", c.ID, c.Space, rotateFirst)
			}
		}
		last = page[len(page)-1].ID
	}
	return ledger.ReadSealedParams(ctx, dir, func(dead ledger.Sealed) error {
		if older(ring, dead.Params) {
			return fmt.Errorf("the dead letter %s of the space %s is sealed to an older key: %s", dead.ID, dead.Space, rotateFirst)
		}
		return nil
	})
}

const rotateFirst = "rotate first (POST /api/actions/_rotate_secrets)"

// older reports whether what is sealed opens with a key of the ring that is not the
// newest. What opens with no key at all is not worse off without some.
func older(ring *seal.Ring, sealed []byte) bool {
	id, err := seal.KeyOf(sealed)
	return err == nil && id != ring.Public().ID() && ring.Has(id)
}
