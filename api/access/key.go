package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
	"time"
)

// Key is an API key as it is kept: of its secret only the hash.
type Key struct {
	ID         string
	Name       string
	Hash       [sha256.Size]byte // of the secret
	Privileges Privileges
	Created    time.Time
	Expires    time.Time // zero for never
	LastUsed   time.Time // zero for never; may trail by a minute
}

// secretSize is in bytes: 256 random bits.
const secretSize = 32

// NewKey returns a key with a new id and its secret, which nobody can tell again.
func NewKey(name string, privileges Privileges, created, expires time.Time) (key Key, secret string) {
	random := make([]byte, secretSize)
	_, _ = rand.Read(random) // never fails: crypto/rand ends the program instead
	secret = base64.RawURLEncoding.EncodeToString(random)
	return Key{
		// It is a user name in Basic credentials and an argument on a command line.
		ID:         strings.ToLower(rand.Text()[:20]),
		Name:       name,
		Hash:       sha256.Sum256([]byte(secret)),
		Privileges: privileges,
		Created:    created,
		Expires:    expires,
	}, secret
}

// Matches reports whether secret is the key's, in a time that does not depend on
// how much of it is right.
func (k *Key) Matches(secret string) bool {
	hash := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(hash[:], k.Hash[:]) == 1
}

// Expired reports whether the key's time is over.
func (k *Key) Expired(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }
