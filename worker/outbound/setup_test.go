package outbound

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"patchbay.dev/shared/connector"
)

const maxResponse = 1 << 16

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open is a policy under which servers of a test can be reached.
func open(cidrs ...string) Policy {
	return Policy{Hosts: connector.AllHosts(), CIDRs: prefixes(cidrs...), MaxResponse: maxResponse}
}

func noProxy(*http.Request) (*url.URL, error) { return nil, nil }

// setup returns a Layer without a proxy whose names resolve to what answer says.
func setup(t *testing.T, p Policy, answer func(name string) []string) *Layer {
	t.Helper()
	l := newLayer(p, resolver(t, answer), noProxy)
	t.Cleanup(l.Close)
	return l
}

// get returns the status and the body of a GET.
func get(ctx context.Context, l *Layer, rawURL string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return "", err
	}
	resp, err := l.Client().Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %s", resp.StatusCode, body), err
}

// serve starts a server on 127.0.0.1 and returns it with its port.
func serve(t *testing.T, h http.HandlerFunc) (server *httptest.Server, port string) {
	t.Helper()
	server = httptest.NewServer(h)
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return server, port
}

// resolver asks a name server in this process, over UDP, in which every name,
// without its last dot, has the addresses that answer returns.
func resolver(t *testing.T, answer func(name string) []string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		query := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return // closed
			}
			_, _ = conn.WriteTo(respond(query[:n], answer), from)
		}
	})
	t.Cleanup(func() { _ = conn.Close(); done.Wait() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// respond returns the response to a DNS query (RFC 1035) for A or AAAA.
func respond(query []byte, answer func(name string) []string) []byte {
	const header, typeA, typeAAAA, classIN = 12, 1, 28, 1
	var labels []string
	end := header
	for query[end] != 0 {
		n := int(query[end])
		labels = append(labels, string(query[end+1:end+1+n]))
		end += 1 + n
	}
	question := query[header : end+5]
	kind := binary.BigEndian.Uint16(question[len(question)-4:])
	var addresses []netip.Addr
	if kind == typeA || kind == typeAAAA {
		for _, s := range answer(strings.Join(labels, ".")) {
			if a := netip.MustParseAddr(s); a.Is4() == (kind == typeA) {
				addresses = append(addresses, a)
			}
		}
	}
	response := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, byte(len(addresses)), 0, 0, 0, 0}, question...)
	for _, a := range addresses {
		raw := a.AsSlice()
		response = append(response, 0xc0, header, byte(kind>>8), byte(kind), 0, classIN, 0, 0, 0, 0, 0, byte(len(raw)))
		response = append(response, raw...)
	}
	return response
}
