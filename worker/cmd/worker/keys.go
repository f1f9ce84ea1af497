package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"

	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
)

// keyCommands are what "worker keys" can do. A worker that runs follows its file by
// itself.
var keyCommands = map[string]func(args, environ []string) error{
	"generate": generateKeys,
	"add":      addKey,
	"publish":  publishKey,
	"prune":    pruneKeys,
}

// keyFiles reads the two settings that say where keys are, and flags of the command.
func keyFiles(command string, args, environ []string, more ...func(*flag.FlagSet)) (private, public string, err error) {
	flags := flag.NewFlagSet("worker keys "+command, flag.ContinueOnError)
	for _, declare := range more {
		declare(flags)
	}
	flags.StringVar(&private, "seal-key-file", "seal.key", "file of the private keys, the newest first")
	flags.StringVar(&public, "seal-public-key-file", "seal.pub", "file of the public key, which the api needs")
	_, err = setting.Parse(flags, args, environ)
	return private, public, err
}

// addKey puts a new key before those in the workers' file.
func addKey(args, environ []string) error {
	private, _, err := keyFiles("add", args, environ)
	if err != nil {
		return err
	}
	ring, err := seal.AddKey(private)
	if err != nil {
		return fmt.Errorf("PATCHBAY_SEAL_KEY_FILE: %w", err)
	}
	fmt.Printf("key %s is the newest of %s; next, when every worker has this file: worker keys publish\n", ring.Public().ID(), private)
	return nil
}

// publishKey writes the public half of the newest key to the api's file.
func publishKey(args, environ []string) error {
	private, public, err := keyFiles("publish", args, environ)
	if err != nil {
		return err
	}
	ring, err := seal.ReadRing(private)
	if err != nil {
		return fmt.Errorf("PATCHBAY_SEAL_KEY_FILE: %w", err)
	}
	if err := ring.Public().Publish(public); err != nil {
		return fmt.Errorf("PATCHBAY_SEAL_PUBLIC_KEY_FILE: %w", err)
	}
	fmt.Printf("key %s is public in %s; next, when the api has this file: POST /api/actions/_rotate_secrets\n", ring.Public().ID(), public)
	return nil
}

// pruneKeys removes all keys but the newest from the workers' file. If the public
// file has another key, secrets are still being sealed to that one; if it is not at
// hand, somebody must say that it has not.
func pruneKeys(args, environ []string) error {
	elsewhere := false
	private, public, err := keyFiles("prune", args, environ, func(flags *flag.FlagSet) {
		flags.BoolVar(&elsewhere, "published-elsewhere", false, "the public key file is not here, and the api has the newest key")
	})
	if err != nil {
		return err
	}
	ring, err := seal.ReadRing(private)
	if err != nil {
		return fmt.Errorf("PATCHBAY_SEAL_KEY_FILE: %w", err)
	}
	switch published, err := seal.ReadPublicKey(public); {
	case errors.Is(err, fs.ErrNotExist) && elsewhere:
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("PATCHBAY_SEAL_PUBLIC_KEY_FILE: %w; bring the file that the api has here, "+
			"or say -published-elsewhere if it has the key %s and a rotation to it told no failure", err, ring.Public().ID())
	case err != nil:
		return fmt.Errorf("PATCHBAY_SEAL_PUBLIC_KEY_FILE: %w", err)
	case published.ID() != ring.Public().ID():
		return fmt.Errorf("PATCHBAY_SEAL_PUBLIC_KEY_FILE: %s is not the public half of the newest key in %s: publish it and rotate first", public, private)
	}
	_, removed, err := seal.PruneKeys(private)
	if err != nil {
		return fmt.Errorf("PATCHBAY_SEAL_KEY_FILE: %w", err)
	}
	fmt.Printf("older keys removed: %d; %s has the key %s\n", removed, private, ring.Public().ID())
	return nil
}
