package index

import (
	"encoding/base64"
	"strings"

	"patchbay.dev/worker/outbound"
)

// redactor replaces the credentials in what the cluster, or something before it,
// says: a proxy may repeat the request that it refuses.
func (c Config) redactor() *strings.Replacer {
	secrets := append(outbound.BasicAuth(c.Username, c.Password), c.APIKey)
	if pair, err := base64.StdEncoding.DecodeString(c.APIKey); err == nil {
		_, secret, _ := strings.Cut(string(pair), ":")
		secrets = append(secrets, string(pair), secret)
	}
	return outbound.Redactor(secrets...)
}
