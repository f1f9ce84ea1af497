package index

import (
	"encoding/base64"
	"net/url"
	"strings"
)

// minSecret is the length in bytes from which on a secret is looked for: a
// shorter one would tear words apart.
const minSecret = 4

// redactor replaces the credentials in what the cluster, or something before it,
// says: a proxy may repeat the request that it refuses.
func (c Config) redactor() *strings.Replacer {
	secrets := []string{c.APIKey, c.Password}
	if c.Username != "" {
		secrets = append(secrets, base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password)))
	}
	if pair, err := base64.StdEncoding.DecodeString(c.APIKey); err == nil {
		_, secret, _ := strings.Cut(string(pair), ":")
		secrets = append(secrets, string(pair), secret)
	}
	var pairs []string
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		pairs = append(pairs, s, "[redacted]")
		if escaped := url.QueryEscape(s); escaped != s {
			pairs = append(pairs, escaped, "[redacted]")
		}
	}
	return strings.NewReplacer(pairs...)
}
