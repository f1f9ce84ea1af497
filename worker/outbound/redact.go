package outbound

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// minSecret is the length in bytes from which on a secret is looked for: a
// shorter one would tear words apart.
const minSecret = 4

// Redactor returns a Replacer that puts "[redacted]" in the place of each secret
// of at least 4 bytes: as it is, and as it may come back from a destination that
// repeats what it was sent, in a URL, in JSON, in HTML or in base64.
func Redactor(secrets ...string) *strings.Replacer {
	var all []string
	for _, s := range secrets {
		if len(s) >= minSecret {
			all = append(all, forms(s)...)
		}
	}
	// Of two that begin at the same place, the Replacer takes the one named first.
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	var pairs []string
	for _, s := range slices.Compact(all) {
		pairs = append(pairs, s, "[redacted]")
	}
	return strings.NewReplacer(pairs...)
}

// BasicAuth returns the secrets to give to [Redactor] for HTTP Basic: the
// password, and the pair that goes out in base64.
func BasicAuth(user, password string) []string { return []string{password, user + ":" + password} }

// forms returns the ways in which a secret may be written.
func forms(s string) []string {
	query := url.QueryEscape(s)
	component := strings.ReplaceAll(query, "+", "%20")
	all := []string{
		s, query, component,
		javaScript.Replace(component), // what encodeURIComponent makes of it
		url.PathEscape(s),
		html.EscapeString(s),
	}
	for _, escaped := range all[1:] {
		all = append(all, percents.ReplaceAllStringFunc(escaped, strings.ToLower))
	}
	for _, escapeHTML := range []bool{false, true} {
		text := jsonString(s, escapeHTML)
		all = append(all, text, ascii(text), strings.ReplaceAll(text, "/", `\/`))
	}
	return append(all,
		base64.StdEncoding.EncodeToString([]byte(s)), base64.RawStdEncoding.EncodeToString([]byte(s)),
		base64.URLEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s)))
}

var (
	percents   = regexp.MustCompile(`%[0-9A-F]{2}`)
	javaScript = strings.NewReplacer("%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*")
)

// jsonString returns s as it stands between the quotes of a JSON string.
func jsonString(s string, escapeHTML bool) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(escapeHTML)
	_ = enc.Encode(s) // a string can be encoded
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), `"`), "\"\n")
}

// ascii returns the text of a JSON string with no other than ASCII letters, as
// some servers write it.
func ascii(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}
