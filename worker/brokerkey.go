package worker

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"

	"patchbay.dev/shared/connector"
)

// BrokerUser is a user of the broker, whose permissions deploy/nats/nats.conf
// tells: the api, a producer that submits executions, a worker of every type, or one of
// a single type.
type BrokerUser struct {
	Name   string // "api", "producer", "worker", or "worker-jira"
	Public string // the public key, which the broker knows
	Seed   string // file of the private one; "" if it is elsewhere
	New    bool   // made just now
}

// GenerateBrokerKeys makes a key for every user of the broker and writes the seed
// of "jira" to dir/jira/jira.nk, which only its owner can read, and all public keys to
// usersFile, which nats.conf includes. A folder each, so that each can be mounted
// alone. Seeds that are there stay; so does a public key whose seed is not, since
// it may have been taken to where it is used.
func GenerateBrokerKeys(dir, usersFile string) ([]BrokerUser, error) {
	known, err := readUsers(usersFile)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the programs are other users; each seed is its own's
		return nil, err
	}
	var users []BrokerUser
	for _, name := range brokerUserNames() {
		user, err := keyOf(name, dir, known[name])
		if err != nil {
			return nil, fmt.Errorf("key of the broker's user %s: %w", name, err)
		}
		users = append(users, user)
	}
	return users, writeUsers(usersFile, users)
}

func brokerUserNames() []string {
	names := []string{"api", "producer", "worker"}
	for _, t := range connector.All {
		names = append(names, "worker-"+strings.TrimPrefix(t.Describe().ID, "."))
	}
	return names
}

func keyOf(name, dir, known string) (BrokerUser, error) {
	user := BrokerUser{Name: name, Seed: filepath.Join(dir, name, name+".nk")}
	seed, err := os.ReadFile(user.Seed)
	if errors.Is(err, fs.ErrNotExist) && known != "" {
		return BrokerUser{Name: name, Public: known}, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		user.New = true
		seed, err = newSeed(user.Seed)
	}
	if err != nil {
		return BrokerUser{}, err
	}
	pair, err := nkeys.FromSeed(bytes.TrimSpace(seed))
	if err != nil {
		return BrokerUser{}, fmt.Errorf("%s: %w", user.Seed, err)
	}
	if user.Public, err = pair.PublicKey(); err != nil || !nkeys.IsValidPublicUserKey(user.Public) {
		return BrokerUser{}, fmt.Errorf("%s: it is not the seed of a user", user.Seed)
	}
	return user, nil
}

func newSeed(file string) ([]byte, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	seed, err := pair.Seed()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	return seed, writeWhole(file, append(seed, '\n'), 0o600)
}

// readUsers returns the public keys by the names of their users.
func readUsers(file string) (map[string]string, error) {
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	users := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		name, key, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if nkeys.IsValidPublicUserKey(key) {
			users[name] = key
		}
	}
	return users, nil
}

func writeUsers(file string, users []BrokerUser) error {
	var text bytes.Buffer
	text.WriteString("# Written by \"worker keys generate\". The broker reads it when it starts or is told to reload.\n")
	for _, user := range users {
		fmt.Fprintf(&text, "%s: %s\n", user.Name, user.Public)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // the broker is another user, and the keys are public
		return err
	}
	return writeWhole(file, text.Bytes(), 0o644)
}

// writeWhole writes a whole file or, also if it is killed, none.
func writeWhole(file string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".patchbay-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
