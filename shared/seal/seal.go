// Package seal encrypts the secrets of connectors to the workers' public key, so
// that whoever can write them cannot read them, and binds each ciphertext to the
// connector that it was made for.
//
// It is HPKE of RFC 9180: X25519, HKDF-SHA256, AES-256-GCM. A blob is
//
//	version (1 byte) · key id (8 bytes) · encapsulated key (32 bytes) · ciphertext
//
// and its associated data are space, id, type and the SHA-256 of the config of
// the connector: a blob opens for exactly the connector that it was sealed for.
package seal

import (
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

const (
	version   = 1
	keyIDSize = 8
	encSize   = 32 // of the encapsulated X25519 key
	headSize  = 1 + keyIDSize + encSize
	info      = "patchbay secrets v1" // separates our use of a key from any other
)

func kem() hpke.KEM   { return hpke.DHKEM(ecdh.X25519()) }
func kdf() hpke.KDF   { return hpke.HKDFSHA256() }
func aead() hpke.AEAD { return hpke.AES256GCM() }

// KeyID names a key: the first bytes of the SHA-256 of its public half.
type KeyID [keyIDSize]byte

// String returns the id in hexadecimal.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

func idOf(key hpke.PublicKey) KeyID {
	sum := sha256.Sum256(key.Bytes())
	return KeyID(sum[:keyIDSize])
}

// EverySpace stands for the space of a connector that is in all of them. No space
// has this id.
const EverySpace = "*"

// Binding is the connector that secrets belong to.
type Binding struct {
	Space, ConnectorID, Type string
	Config                   []byte // byte for byte as it is stored
}

// Bytes returns an encoding that differs for any two bindings: every part with
// its length before it, the config as its SHA-256.
func (b Binding) Bytes() []byte {
	config := sha256.Sum256(b.Config)
	data := make([]byte, 0, 3*4+len(b.Space)+len(b.ConnectorID)+len(b.Type)+len(config))
	for _, part := range []string{b.Space, b.ConnectorID, b.Type} {
		data = binary.BigEndian.AppendUint32(data, uint32(len(part))) //nolint:gosec // G115: an id of 4 GiB reaches nobody
		data = append(data, part...)
	}
	return append(data, config[:]...)
}

// ParamsBinding is for the params of one execution, which are sealed where they
// are kept for a run that may come days later. No config can be theirs: it is JSON.
func ParamsBinding(space, connectorID, typeID, executionID string) Binding {
	return Binding{Space: space, ConnectorID: connectorID, Type: typeID, Config: []byte("params of execution " + executionID)}
}

// PublicKey seals. It is safe for concurrent use.
type PublicKey struct {
	id  KeyID
	key hpke.PublicKey
}

// ID returns the key's id, which every blob carries.
func (k *PublicKey) ID() KeyID { return k.id }

// Seal encrypts secrets for one connector.
func (k *PublicKey) Seal(secrets []byte, binding Binding) ([]byte, error) {
	return k.seal(secrets, binding.Bytes())
}

func (k *PublicKey) seal(secrets, binding []byte) ([]byte, error) {
	enc, sender, err := hpke.NewSender(k.key, kdf(), aead(), []byte(info))
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	ciphertext, err := sender.Seal(binding, secrets)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	blob := make([]byte, 0, headSize+len(ciphertext))
	blob = append(blob, version)
	blob = append(blob, k.id[:]...)
	blob = append(blob, enc...)
	return append(blob, ciphertext...), nil
}

// Errors of [Ring.Open], besides [UnknownKeyError].
var (
	// ErrForeign: the blob was sealed for another connector, or for this one with
	// another config, or it was changed.
	ErrForeign = errors.New("the secrets do not belong to this connector as it stands")
	// ErrMalformed: the bytes are no blob of a version that this program knows.
	ErrMalformed = errors.New("the sealed secrets cannot be read")
)

// UnknownKeyError says that a blob was sealed to a key that the ring lacks.
type UnknownKeyError struct{ ID KeyID }

// Error names the key.
func (e *UnknownKeyError) Error() string {
	return "the secrets are sealed to the key " + e.ID.String() + ", which this worker does not have"
}

// Ring opens. It holds one or more private keys; the first is the newest, to
// which secrets are sealed. It is safe for concurrent use.
type Ring struct {
	newest *PublicKey
	keys   map[KeyID]hpke.PrivateKey
}

// Generate returns a ring with one new key.
func Generate() (*Ring, error) {
	key, err := kem().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return ringOf([]hpke.PrivateKey{key})
}

func ringOf(keys []hpke.PrivateKey) (*Ring, error) {
	if len(keys) == 0 {
		return nil, errors.New("no key in it")
	}
	r := &Ring{keys: make(map[KeyID]hpke.PrivateKey, len(keys))}
	for _, key := range keys {
		r.keys[idOf(key.PublicKey())] = key
	}
	newest := keys[0].PublicKey()
	r.newest = &PublicKey{idOf(newest), newest}
	return r, nil
}

// Public returns the key to which secrets are sealed.
func (r *Ring) Public() *PublicKey { return r.newest }

// Has reports whether the ring has the private half of a key.
func (r *Ring) Has(id KeyID) bool {
	_, ok := r.keys[id]
	return ok
}

// Open decrypts a blob that was sealed for the connector of the binding. The
// error is [ErrForeign], [ErrMalformed] or an *[UnknownKeyError].
func (r *Ring) Open(blob []byte, binding Binding) ([]byte, error) {
	return r.open(blob, binding.Bytes())
}

func (r *Ring) open(blob, binding []byte) ([]byte, error) {
	id, err := KeyOf(blob)
	if err != nil {
		return nil, err
	}
	key, ok := r.keys[id]
	if !ok {
		return nil, &UnknownKeyError{id}
	}
	recipient, err := hpke.NewRecipient(blob[1+keyIDSize:headSize], key, kdf(), aead(), []byte(info))
	if err != nil {
		return nil, ErrMalformed
	}
	secrets, err := recipient.Open(binding, blob[headSize:])
	if err != nil {
		return nil, ErrForeign
	}
	return secrets, nil
}
