package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"path/filepath"

	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
	"patchbay.dev/worker"
)

// generateKeys makes a key pair: "worker keys generate" writes the private key for
// the workers and the public key for the api to the files of the two settings. If
// they are there already it says so and changes nothing. With -nats-keys-dir it
// makes the keys of the broker's users as well.
func generateKeys(args, environ []string) error {
	var private, public, brokerDir, usersFile string
	flags := flag.NewFlagSet("worker keys generate", flag.ContinueOnError)
	flags.StringVar(&private, "seal-key-file", "seal.key", "new file for the private key, which only workers may read")
	flags.StringVar(&public, "seal-public-key-file", "seal.pub", "new file for the public key, which the api needs")
	flags.StringVar(&brokerDir, "nats-keys-dir", "", "directory for the seeds of the broker's users, a folder each; none are made without it")
	flags.StringVar(&usersFile, "nats-users-file", "", "file for their public keys, which the broker needs; users.conf in that directory if none is named")
	if _, err := setting.Parse(flags, args, environ); err != nil {
		return err
	}
	// Keys that are there stay: without them nobody could open what was sealed.
	ring, err := seal.ReadOrGenerate(private)
	if err != nil {
		return fmt.Errorf("PATCHBAY_SEAL_KEY_FILE: %w", err)
	}
	if err := ring.Public().Write(public); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("PATCHBAY_SEAL_PUBLIC_KEY_FILE: %w", err)
	}
	known, err := seal.ReadPublicKey(public)
	if err != nil || !ring.Has(known.ID()) {
		return errors.Join(fmt.Errorf("PATCHBAY_SEAL_PUBLIC_KEY_FILE: %s is not the public half of %s", public, private), err)
	}
	fmt.Printf("key %s: private in %s, public in %s\n", known.ID(), private, public)
	if newest := ring.Public().ID(); newest != known.ID() { // a key was added since
		fmt.Printf("key %s is the newest of %s; when every worker has this file, next: worker keys publish\n", newest, private)
	}
	if brokerDir == "" {
		return nil
	}
	if usersFile == "" {
		usersFile = filepath.Join(brokerDir, "users.conf")
	}
	return generateBrokerKeys(brokerDir, usersFile)
}

func generateBrokerKeys(dir, usersFile string) error {
	users, err := worker.GenerateBrokerKeys(dir, usersFile)
	if err != nil {
		return err
	}
	for _, user := range users {
		switch {
		case user.Seed == "":
			fmt.Printf("broker user %s: %s, as in %s; its seed is not here\n", user.Name, user.Public, usersFile)
		case user.New:
			fmt.Printf("broker user %s: %s, new seed in %s\n", user.Name, user.Public, user.Seed)
		default:
			fmt.Printf("broker user %s: %s, seed in %s\n", user.Name, user.Public, user.Seed)
		}
	}
	fmt.Printf("public keys of the broker's users in %s\n", usersFile)
	return nil
}
