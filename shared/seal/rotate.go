package seal

import (
	"crypto/hpke"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// KeyOf returns the id of the key that a blob is sealed to, or [ErrMalformed]. It
// opens nothing: the rest of the blob may be anything.
func KeyOf(blob []byte) (KeyID, error) {
	if len(blob) < headSize || blob[0] != version {
		return KeyID{}, ErrMalformed
	}
	return KeyID(blob[1 : 1+keyIDSize]), nil
}

// Reseal opens a blob with whichever key it was sealed to and seals what is in it
// to the newest; binding is [Binding.Bytes]. A blob that is sealed to the newest
// already is returned as it is. The error is as of [Ring.Open].
func (r *Ring) Reseal(blob, binding []byte) ([]byte, error) {
	secrets, err := r.open(blob, binding)
	if err != nil {
		return nil, err
	}
	if id, _ := KeyOf(blob); id == r.newest.id {
		return blob, nil
	}
	return r.newest.seal(secrets, binding)
}

// AddKey puts a new key before those in the ring file, as the newest, and returns
// the ring. The file is replaced as a whole, or stays as it was.
func AddKey(file string) (*Ring, error) {
	added, err := Generate()
	if err != nil {
		return nil, err
	}
	block, err := added.block()
	if err != nil {
		return nil, err
	}
	err = replace(file, func() ([]byte, error) {
		if _, err := ReadRing(file); err != nil {
			return nil, err
		}
		before, err := os.ReadFile(file)
		return append(pem.EncodeToMemory(block), before...), err
	})
	if err != nil {
		return nil, err
	}
	return ReadRing(file)
}

// PruneKeys removes every key but the newest from the ring file, and returns the
// ring and how many were removed. What is sealed to them opens never again.
func PruneKeys(file string) (ring *Ring, removed int, err error) {
	err = replace(file, func() ([]byte, error) {
		all, err := ReadRing(file)
		if err != nil {
			return nil, err
		}
		removed = len(all.keys) - 1
		ring = &Ring{all.newest, map[KeyID]hpke.PrivateKey{all.newest.id: all.keys[all.newest.id]}}
		block, err := ring.block()
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(block), nil
	})
	return ring, removed, err
}

// Publish writes the key to a file, in the place of the one that may be there.
func (k *PublicKey) Publish(file string) error {
	err := k.Write(file)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	return replace(file, func() ([]byte, error) {
		_, err := ReadPublicKey(file) // what is no public key is a slip
		return pem.EncodeToMemory(k.block()), err
	})
}

// replace puts what next returns in the place of a file, with its mode and owner.
// Whoever reads the file sees all of the one or all of the other; who replaces it
// at the same time is refused, so that no change is lost.
func replace(file string, next func() ([]byte, error)) error {
	file, err := filepath.EvalSymlinks(file) // or the link would be replaced
	if err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	// The name is the lock: it is there until the rename.
	f, err := os.OpenFile(file+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is being changed by another process, or one was killed while it did; if none runs, remove %s.new", file, file)
	}
	if err != nil {
		return err
	}
	data, err := next()
	if err == nil {
		_, err = f.Write(data)
	}
	err = errors.Join(err, keepOwner(f, info), f.Chmod(info.Mode().Perm()), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFolder(filepath.Dir(file))
}
