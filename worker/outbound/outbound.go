// Package outbound is the way to every destination whose URL a user gave: one
// HTTP client with a guard on the resolved address, a cap on what is read, and
// redirects that carry no credentials away.
package outbound

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"patchbay.dev/shared/connector"
)

// Limits of a connection. How long a destination may take to answer is for the
// request's context to say.
const (
	connectTimeout   = 10 * time.Second // with the lookup of the name
	handshakeTimeout = 10 * time.Second
	headerTimeout    = 30 * time.Second // from the request to the first of the answer
	idleTimeout      = 90 * time.Second
	maxIdlePerHost   = firstVisits // kept open
	maxIdle          = 512
	maxHeader        = 256 << 10 // bytes of an answer's header
)

// Policy says where executions may go and how much they may read.
type Policy struct {
	Hosts       connector.Hosts // names that a URL may have
	CIDRs       []netip.Prefix  // ranges opened although blocked by default, as 127.0.0.0/8
	MaxResponse int64           // bytes of an answer's body, decompressed
	// Paused, if not nil, hears that a destination, as [HostOf] names it, asked to be
	// left alone. It must not block.
	Paused func(typeID, host string, left time.Duration)
}

// Layer makes requests under a policy. It is safe for concurrent use; a worker
// has one, and with it one pool of connections.
type Layer struct {
	policy   Policy
	guard    *guard
	proxy    func(*http.Request) (*url.URL, error)
	direct   *http.Transport // dials destinations, guarded
	viaProxy *http.Transport // dials the environment's proxy and nothing else
	client   *http.Client
	visits   *visits
}

// New returns a Layer that takes its proxy from the environment (HTTPS_PROXY,
// HTTP_PROXY, NO_PROXY). What goes through a proxy is resolved and dialled by
// the proxy: which addresses it may reach is then for the proxy to say.
func New(p Policy) *Layer { return newLayer(p, nil, http.ProxyFromEnvironment) }

// newLayer lets tests bring a resolver, nil for the system's, and a proxy.
func newLayer(p Policy, resolver *net.Resolver, proxy func(*http.Request) (*url.URL, error)) *Layer {
	l := &Layer{policy: p, guard: newGuard(p.CIDRs), proxy: proxy}
	l.visits = &visits{tell: p.Paused, now: time.Now, hosts: make(map[string]*host)}
	l.direct = newTransport(&net.Dialer{Timeout: connectTimeout, Resolver: resolver, ControlContext: l.guard.control}, nil)
	l.viaProxy = newTransport(&net.Dialer{Timeout: connectTimeout, Resolver: resolver}, func(r *http.Request) (*url.URL, error) {
		u, err := proxy(r)
		if err == nil && u == nil {
			err = errors.New("there is no proxy") // without one it would dial the destination unguarded
		}
		return u, err
	})
	l.client = &http.Client{Transport: roundTripper{l}, CheckRedirect: checkRedirect}
	return l
}

// newTransport returns a transport that speaks HTTP/1.1 only, where what
// [TraceSent] tells is certain.
func newTransport(dialer *net.Dialer, proxy func(*http.Request) (*url.URL, error)) *http.Transport {
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    handshakeTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
	}
}

// Client returns the client to make requests with. It checks every URL as
// [Layer.CheckURL] does, follows up to 3 redirects of a GET or HEAD and returns
// the redirect of anything else as the answer. Errors of Do wrap *[BlockedError];
// those of reading a body are *[TooLargeError] when it is over the limit.
func (l *Layer) Client() *http.Client { return l.client }

// Close closes idle connections. Those in use end with their requests.
func (l *Layer) Close() {
	l.direct.CloseIdleConnections()
	l.viaProxy.CloseIdleConnections()
}

// roundTripper makes one request, which may be a hop of a redirect.
type roundTripper struct{ *Layer }

// RoundTrip implements [http.RoundTripper].
func (l roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	transport, err := l.transport(req)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	resp, err := listening{l.visits, transport}.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = &limitedBody{ReadCloser: resp.Body, left: l.policy.MaxResponse, limit: l.policy.MaxResponse}
	return resp, nil
}

func (l roundTripper) transport(req *http.Request) (*http.Transport, error) {
	if err := l.check(req.URL, req.URL.String()); err != nil {
		return nil, err
	}
	proxy, err := l.proxy(req)
	switch {
	case err != nil: // it repeats the proxy's URL, password and all
		return nil, errors.New("the environment's proxy for this URL is not a URL")
	case proxy != nil:
		return l.viaProxy, nil
	default:
		return l.direct, nil
	}
}
