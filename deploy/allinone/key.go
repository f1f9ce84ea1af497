package main

import (
	"flag"
	"fmt"
	"io"

	"patchbay.dev/deploy/inprocess"
	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
)

// changeKeys is "allinone seal-keys add" and "allinone seal-keys prune": the one
// that runs follows the file by itself.
func changeKeys(args, environ []string, stdout io.Writer) error {
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
	ring, removed, err := seal.PruneKeys(file)
	if err != nil {
		return fmt.Errorf("PATCHBAY_SEAL_KEY_FILE: %w", err)
	}
	_, err = fmt.Fprintf(stdout, "older keys removed: %d; %s has the key %s\n", removed, file, ring.Public().ID())
	return err
}
