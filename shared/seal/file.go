package seal

import (
	"bytes"
	"crypto/hpke"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	privateBlock = "PATCHBAY SEAL PRIVATE KEY"
	publicBlock  = "PATCHBAY SEAL PUBLIC KEY"
)

// ReadRing reads a file of private keys, the newest first. A file that others
// than its owner can read is refused.
func ReadRing(file string) (*Ring, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		return nil, fmt.Errorf("%s: others can read it (mode %04o); chmod 600 it", file, info.Mode().Perm())
	}
	blocks, err := readBlocks(file, privateBlock)
	if err != nil {
		return nil, err
	}
	var keys []hpke.PrivateKey
	for _, block := range blocks {
		key, err := kem().NewPrivateKey(block)
		if err != nil {
			return nil, fmt.Errorf("%s: a key in it is not valid", file)
		}
		keys = append(keys, key)
	}
	ring, err := ringOf(keys)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return ring, nil
}

// ReadPublicKey reads a file with one public key.
func ReadPublicKey(file string) (*PublicKey, error) {
	blocks, err := readBlocks(file, publicBlock)
	if err != nil {
		return nil, err
	}
	if len(blocks) != 1 {
		return nil, fmt.Errorf("%s: one public key is expected, there are %d", file, len(blocks))
	}
	key, err := kem().NewPublicKey(blocks[0])
	if err != nil {
		return nil, fmt.Errorf("%s: the key in it is not valid", file)
	}
	return &PublicKey{idOf(key), key}, nil
}

// Write writes the newest key of the ring to a new file that only its owner can
// read. A file that exists is an error that is [fs.ErrExist], and stays.
func (r *Ring) Write(file string) error {
	block, err := r.block()
	if err != nil {
		return err
	}
	return writeNew(file, 0o600, block)
}

// block returns the newest key as it stands in a file.
func (r *Ring) block() (*pem.Block, error) {
	data, err := r.keys[r.newest.id].Bytes()
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return &pem.Block{Type: privateBlock, Bytes: data}, nil
}

// Write writes the key to a new file. A file that exists is an error that is
// [fs.ErrExist], and stays.
func (k *PublicKey) Write(file string) error { return writeNew(file, 0o644, k.block()) }

func (k *PublicKey) block() *pem.Block {
	return &pem.Block{
		Type:    publicBlock,
		Headers: map[string]string{"Key-Id": k.id.String()}, // for people
		Bytes:   k.key.Bytes(),
	}
}

// ReadOrGenerate reads the ring in file, or makes one there with a new key if
// there is no file.
func ReadOrGenerate(file string) (*Ring, error) {
	ring, err := ReadRing(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return ring, err
	}
	if ring, err = Generate(); err != nil {
		return nil, err
	}
	return ring, ring.Write(file)
}

func readBlocks(file, kind string) ([][]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var blocks [][]byte
	for rest := bytes.TrimSpace(data); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != kind {
			return nil, fmt.Errorf("%s: only PEM blocks %q are expected", file, kind)
		}
		blocks = append(blocks, block.Bytes)
	}
	return blocks, nil
}

// writeNew writes a whole file or, also if it is killed, none: half a key would
// stop the next start.
func writeNew(file string, mode fs.FileMode, block *pem.Block) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), ".seal-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	err = errors.Join(f.Chmod(mode), pem.Encode(f, block), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Link(f.Name(), file) // unlike a rename, it does not replace a file
}
