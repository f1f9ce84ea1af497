package outbound

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// CheckURL returns a URL that a user gave, or an error that says what is wrong
// with it and never repeats a password. It wants http or https, an allowed host
// and no credentials, and judges an IP address as the guard does (*[BlockedError]);
// a name is judged when it is dialled, by what it resolves to then.
func (l *Layer) CheckURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("the URL is malformed") // err repeats it
	}
	if err := l.check(u, raw); err != nil {
		return nil, err
	}
	return u, nil
}

func (l *Layer) check(u *url.URL, raw string) error {
	host := u.Hostname()
	addr, notAddr := netip.ParseAddr(host)
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("the URL does not begin with http:// or https://")
	case host == "":
		return errors.New("the URL has no host")
	case u.User != nil:
		return errors.New("the URL holds a user or a password: they belong into the secrets")
	case notAddr != nil && !isName(host):
		return fmt.Errorf("the URL's host %q is neither a name of ASCII letters nor an IP address in its usual form", host)
	}
	if err := l.policy.Hosts.Check(raw); err != nil {
		return err
	}
	if notAddr == nil {
		return l.guard.check(addr)
	}
	return nil
}

// isName tells whether a host that is no IP address is a name. One that ends in
// a number is not: some resolvers and proxies read 127.1, 0177.0.0.1 or
// 2130706433 as an address. Neither is one in other than ASCII letters, among
// which there are digits and dots that net/http turns into ASCII ones.
func isName(host string) bool {
	const digits, others = "0123456789", "-_.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	host = strings.TrimSuffix(host, ".")
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	hex, isHex := strings.CutPrefix(last, "0x")
	switch {
	case strings.Trim(host, digits+others) != "":
		return false
	case isHex && strings.Trim(hex, digits+"abcdef") == "":
		return false
	default:
		return strings.Trim(last, digits) != ""
	}
}

const maxRedirects = 3

// checkRedirect is asked before each hop, with the requests made so far. The
// URL of the hop is checked with the request itself.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first, last := via[0], via[len(via)-1]
	switch {
	case first.Method != http.MethodGet && first.Method != http.MethodHead, hasBody(first):
		return http.ErrUseLastResponse // a write is neither repeated nor turned into a GET
	case len(via) > maxRedirects:
		return fmt.Errorf("the destination redirects more than %d times", maxRedirects)
	case last.URL.Scheme == "https" && req.URL.Scheme != "https":
		return errors.New("the destination redirects from https to http")
	}
	// net/http copies the first request's header to every hop: a chain that comes
	// back to the first host does so without credentials.
	for _, hop := range append(via[1:len(via):len(via)], req) {
		if !sameHost(hop.URL, first.URL) {
			keepHarmless(req.Header)
		}
	}
	return nil
}

func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

// sameHost compares name and port.
func sameHost(a, b *url.URL) bool {
	return strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}

// keepHarmless removes every header that may carry a credential: any that is
// not known to carry none.
func keepHarmless(h http.Header) {
	for name := range h {
		switch name {
		case "Accept", "Accept-Language", "User-Agent":
		default:
			delete(h, name)
		}
	}
}
