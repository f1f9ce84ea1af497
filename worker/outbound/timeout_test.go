package outbound

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"patchbay.dev/shared/connector"
)

// A destination that takes a request and says nothing does not hold a slot until
// the deadline of the execution.
func TestDestinationThatSaysNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(silent.Close)
	l := New(Policy{Hosts: connector.AllHosts(), CIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, MaxResponse: 1})
	t.Cleanup(l.Close)
	for _, transport := range []*http.Transport{l.direct, l.viaProxy} {
		if transport.ResponseHeaderTimeout != headerTimeout || transport.TLSHandshakeTimeout != handshakeTimeout {
			t.Errorf("limits: %s, %s", transport.ResponseHeaderTimeout, transport.TLSHandshakeTimeout)
		}
	}
	l.direct.ResponseHeaderTimeout = 20 * time.Millisecond
	response, err := l.Client().Get(silent.URL)
	if err == nil {
		response.Body.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "timeout awaiting response headers") {
		t.Errorf("Get: %v, want a timeout", err)
	}
}
