package outbound

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/connector"
)

// Sentences of CheckURL.
const (
	malformed = "the URL is malformed"
	scheme    = "the URL does not begin with http:// or https://"
	noHost    = "the URL has no host"
	userinfo  = "the URL holds a user or a password: they belong into the secrets"
	noName    = `the URL's host %q is neither a name of ASCII letters nor an IP address in its usual form`
	blocked   = `%a (%c) is blocked: PATCHBAY_ALLOWED_CIDRS does not open it`
)

func badName(host string) string { return strings.Replace(noName, "%q", `"`+host+`"`, 1) }

func isBlocked(address, class string) string {
	return strings.NewReplacer("%a", address, "%c", class).Replace(blocked)
}

// Every URL leads to this machine for some resolver, client or proxy. PORT is
// that of a server there.
func TestHostileURLs(t *testing.T) {
	t.Parallel()
	tests := []struct{ url, want string }{ // "" if only the dial can tell
		{"http://127.0.0.1:PORT/", isBlocked("127.0.0.1", "loopback")},
		{"HTTP://127.0.0.1:PORT/", isBlocked("127.0.0.1", "loopback")},
		{"http://127.9.9.9:PORT/", isBlocked("127.9.9.9", "loopback")},
		{"http://0.0.0.0:PORT/", isBlocked("0.0.0.0", "unspecified")},
		{"http://[::]:PORT/", isBlocked("::", "unspecified")},
		{"http://[::1]:PORT/", isBlocked("::1", "loopback")},
		{"http://[0:0:0:0:0:0:0:1]:PORT/", isBlocked("::1", "loopback")},
		{"http://[::ffff:127.0.0.1]:PORT/", isBlocked("127.0.0.1", "loopback")},
		{"http://[::ffff:7f00:1]:PORT/", isBlocked("127.0.0.1", "loopback")},
		{"http://[::127.0.0.1]:PORT/", isBlocked("::7f00:1", "translated IPv4")},
		{"http://[64:ff9b::7f00:1]:PORT/", isBlocked("64:ff9b::7f00:1", "translated IPv4")},
		{"http://[fe80::1%25lo]:PORT/", isBlocked("fe80::1", "link-local")},
		{"http://[::1%25lo]:PORT/", isBlocked("::1", "loopback")},

		{"http://2130706433:PORT/", badName("2130706433")},
		{"http://0x7f000001:PORT/", badName("0x7f000001")},
		{"http://0X7F000001:PORT/", badName("0X7F000001")},
		{"http://0x7f.0x0.0x0.0x1:PORT/", badName("0x7f.0x0.0x0.0x1")},
		{"http://017700000001:PORT/", badName("017700000001")},
		{"http://0177.0.0.1:PORT/", badName("0177.0.0.1")},
		{"http://127.1:PORT/", badName("127.1")},
		{"http://127.0.1:PORT/", badName("127.0.1")},
		{"http://0:PORT/", badName("0")},
		{"http://0x:PORT/", badName("0x")},
		{"http://127.0.0.1.:PORT/", badName("127.0.0.1.")},
		{"http://00127.0.0.1:PORT/", badName("00127.0.0.1")},
		{"http://1.2.3.4.5:PORT/", badName("1.2.3.4.5")},
		{"http://.:PORT/", badName(".")},
		{"http://①②⑦.⓪.⓪.①:PORT/", badName("①②⑦.⓪.⓪.①")},
		{"http://127。0。0。1:PORT/", badName("127。0。0。1")},
		{"http://ｌocalhost:PORT/", badName("ｌocalhost")},
		{"http://müller.test:PORT/", badName("müller.test")},
		{"http://good.test,evil.test:PORT/", badName("good.test,evil.test")},
		{"http://good.test;evil.test:PORT/", badName("good.test;evil.test")},

		{"http://user:hunter2@good.test:PORT/", userinfo},
		{"http://user@good.test:PORT/", userinfo},
		{"http://@good.test:PORT/", userinfo},
		{"http://:@good.test:PORT/", userinfo},
		{"http://good.test:hunter2@127.0.0.1:PORT/", userinfo},
		{`http://good.test\@127.0.0.1:PORT/`, malformed},
		{`http://user:hunter2%zz@good.test/`, malformed},
		{"http://user:hunter2\n@good.test/", malformed},
		{"http://good.test:hunter2/", malformed},
		{"http://%31%32%37.0.0.1:PORT/", malformed},
		{"http://127.0.0.1%00.good.test:PORT/", malformed},
		{"http://[::1:PORT/", malformed},
		{" http://127.0.0.1:PORT/", malformed},
		{"http://127.0.0.1 :PORT/", malformed},

		{"", scheme},
		{"127.0.0.1:PORT", malformed},
		{"//127.0.0.1:PORT/", scheme},
		{"/path", scheme},
		{"ftp://127.0.0.1:PORT/", scheme},
		{"file:///etc/passwd", scheme},
		{"gopher://127.0.0.1:PORT/_x", scheme},
		{"unix:///run/docker.sock", scheme},
		{"ws://127.0.0.1:PORT/", scheme},
		{"javascript:alert(1)", scheme},
		{"data:text/plain,x", scheme},
		{"hunter2:x@good.test", scheme},
		{"http:127.0.0.1:PORT", noHost},
		{"http:/127.0.0.1:PORT/", noHost},
		{"http:///127.0.0.1:PORT/", noHost},
		{"http://:PORT/", noHost},

		{"http://localhost:PORT/", ""},
		{"http://localhost.:PORT/", ""},
		{"http://LOCALHOST:PORT/", ""},
		{"http://127.0.0.1.good.test:PORT/", ""},
		{"http://0x7f000001.good.test:PORT/", ""},
		{"http://good.test.:PORT/", ""},
		{"http://xn--mller-kva.test:PORT/", ""},
		{"http://good_host.test:PORT/", ""},
	}
	var reached atomic.Int64
	_, port := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	// The worst resolver: for it everything is an address of this machine.
	l := setup(t, open(), func(string) []string { return []string{"127.0.0.1", "::1"} })
	for _, test := range tests {
		rawURL := strings.ReplaceAll(test.url, "PORT", port)
		_, err := l.CheckURL(rawURL)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v, want it left to the dial", rawURL, err)
		case test.want != "" && (err == nil || err.Error() != test.want):
			t.Errorf("%s: %v, want %s", rawURL, err, test.want)
		}
		if _, err := get(t.Context(), l, rawURL); err == nil {
			t.Errorf("%s was fetched", rawURL)
		} else if _, ok := errors.AsType[*BlockedError](err); test.want == "" && !ok {
			t.Errorf("%s: %v, want a *BlockedError", rawURL, err)
		}
		// The guard alone, as if nothing had looked at the URL before.
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, rawURL, nil)
		if err != nil {
			continue
		}
		if resp, err := l.direct.RoundTrip(req); err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s was dialled", rawURL)
		} else if got := whyNot(err); got == "" && test.want != scheme && test.want != noHost {
			t.Errorf("%s: dial: %v, want it blocked or not resolved", rawURL, err)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d requests reached this machine", n)
	}
}

// whyNot tells "blocked" or "no such host", which Go says of numbers, where the C
// library would resolve them.
func whyNot(err error) string {
	if _, ok := errors.AsType[*BlockedError](err); ok {
		return "blocked"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "no such host"
	}
	return ""
}

func TestCheckURLReturnsTheURL(t *testing.T) {
	t.Parallel()
	l := setup(t, open(), nil)
	for _, rawURL := range []string{
		"https://jira.example.com", "http://jira:8080/base/path?q=1#f", "https://10.0.0.1:8443/", "https://[fd00::1]:8443/", "HTTPS://JIRA.example.com",
		"https://0x.example.com", "https://example.0xyz", "https://a-b_c.example.com.", "https://1.example",
	} {
		got, err := l.CheckURL(rawURL)
		if err != nil {
			t.Errorf("%s: %v", rawURL, err)
			continue
		}
		if diff := cmp.Diff(strings.Replace(rawURL, "HTTPS:", "https:", 1), got.String()); diff != "" {
			t.Errorf("URL (-want +got):\n%s", diff)
		}
	}
}

func TestOnlyAllowedHostsAreReached(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	_, port := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	p := open("127.0.0.0/8")
	p.Hosts = connector.Hosts{"good.test"}
	l := setup(t, p, func(string) []string { return []string{"127.0.0.1"} })
	if got, err := get(t.Context(), l, "http://GOOD.test:"+port); got != "200 " {
		t.Errorf("allowed host: %q, %v", got, err)
	}
	for _, host := range []string{"evil.test", "good.test.", "good.test.evil.test", "sub.good.test", "127.0.0.1"} {
		rawURL := "http://" + host + ":" + port + "/"
		want := `target url "` + rawURL + `" is not added to the Patchbay config PATCHBAY_ALLOWED_HOSTS`
		if _, err := l.CheckURL(rawURL); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", rawURL, err, want)
		}
		if _, err := get(t.Context(), l, rawURL); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", rawURL, err, want)
		}
	}
	if n := reached.Load(); n != 1 {
		t.Errorf("%d requests arrived, want 1", n)
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, s := range []string{
		"http://good.test/", "https://u:p@good.test", "http://127.1", "http://[::ffff:127.0.0.1]", "http://[fe80::1%25lo]/", "http:\\\\x", "//x", "http://a@b@c",
		"http://169.254.169.254/latest", "file:///x", "http://①", "http:/%2f/x",
	} {
		f.Add(s)
	}
	l := newLayer(open(), nil, noProxy)
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := l.CheckURL(raw)
		if err != nil {
			return
		}
		rest, ok := cutScheme(raw)
		if !ok {
			t.Fatalf("%q: accepted, with no http:// in front", raw)
		}
		authority := rest[:strings.IndexAny(rest+"/", "/?#")]
		if u.User != nil || u.Host == "" || strings.ContainsAny(authority, `@\`) {
			t.Errorf("%q: accepted as %#v", raw, u)
		}
		if strings.Trim(u.Hostname(), "0123456789.") == "" && strings.Count(u.Hostname(), ".") != 3 {
			t.Errorf("%q: %s is an odd IPv4 address", raw, u.Hostname())
		}
	})
}

func cutScheme(raw string) (string, bool) {
	for _, s := range []string{"http://", "https://"} {
		if len(raw) >= len(s) && strings.EqualFold(raw[:len(s)], s) {
			return raw[len(s):], true
		}
	}
	return "", false
}
