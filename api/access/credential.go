package access

import (
	"encoding/base64"
	"errors"
	"strings"
)

// Credential is a key's id and secret as a client sends them.
type Credential struct{ ID, Secret string }

// Encoded returns what follows the scheme in an Authorization header, the same
// for ApiKey, Bearer and Basic: base64 of id:secret, as Elasticsearch encodes it.
func (c Credential) Encoded() string {
	return base64.StdEncoding.EncodeToString([]byte(c.ID + ":" + c.Secret))
}

// Errors of [ParseAuthorization].
var (
	ErrMissing   = errors.New("there are no credentials")
	ErrMalformed = errors.New(`the header Authorization must be "ApiKey", "Bearer" or "Basic" and the base64 of id:secret`)
)

// ParseAuthorization reads the values of the header Authorization.
func ParseAuthorization(values []string) (Credential, error) {
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return Credential{}, ErrMissing
	}
	if len(values) > 1 {
		return Credential{}, ErrMalformed // which of them a proxy looked at, nobody knows
	}
	scheme, encoded, _ := strings.Cut(values[0], " ")
	switch strings.ToLower(scheme) {
	case "apikey", "bearer", "basic":
	default:
		return Credential{}, ErrMalformed
	}
	decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(encoded), "="))
	if err != nil {
		return Credential{}, ErrMalformed
	}
	id, secret, ok := strings.Cut(string(decoded), ":")
	if !ok || id == "" || secret == "" {
		return Credential{}, ErrMalformed
	}
	return Credential{id, secret}, nil
}
