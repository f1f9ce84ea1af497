package outbound

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// twins starts a server on each of two addresses, on the same port.
func twins(t *testing.T, a, b http.HandlerFunc) (port string) {
	t.Helper()
	for range 50 {
		first, err := net.Listen("tcp", "127.0.0.2:0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(first.Addr().String())
		second, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil { // in use by another
			_ = first.Close()
			continue
		}
		for _, s := range []struct {
			net.Listener
			http.HandlerFunc
		}{{first, a}, {second, b}} {
			server := httptest.NewUnstartedServer(s.HandlerFunc)
			_ = server.Listener.Close()
			server.Listener = s.Listener
			server.Start()
			t.Cleanup(server.Close)
		}
		return port
	}
	t.Fatal("no port is free on both addresses")
	return ""
}

// counted returns a handler that counts requests and closes their connections.
func counted(n *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		n.Add(1)
		w.Header().Set("Connection", "close")
	}
}

func TestNameOfABlockedAddressIsNotReached(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	_, port := serve(t, counted(&reached))
	names := map[string][]string{
		"v4.test":       {"127.0.0.1"},
		"v6.test":       {"::1"},
		"mapped.test":   {"::ffff:127.0.0.1"},
		"zero.test":     {"0.0.0.0"},
		"zero6.test":    {"::"},
		"several.test":  {"127.0.0.1", "::1", "0.0.0.0"},
		"metadata.test": {"169.254.169.254"},
		"imds6.test":    {"fd00:ec2::254"},
	}
	l := setup(t, open(), func(name string) []string { return names[name] })
	for name := range names {
		_, err := get(t.Context(), l, "http://"+name+":"+port)
		if _, ok := errors.AsType[*BlockedError](err); !ok {
			t.Errorf("%s: %v, want a *BlockedError", name, err)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

func TestBadAddressOfAGoodNameIsNotReached(t *testing.T) {
	t.Parallel()
	var good, bad atomic.Int64
	port := twins(t, counted(&good), counted(&bad))
	l := setup(t, open("127.0.0.2/32"), func(name string) []string {
		if name == "badfirst.test" {
			return []string{"127.0.0.1", "::1", "127.0.0.2"}
		}
		return []string{"127.0.0.2", "127.0.0.1", "::1"}
	})
	for range 5 {
		for _, name := range []string{"badfirst.test", "goodfirst.test"} {
			if got, err := get(t.Context(), l, "http://"+name+":"+port); got != "200 " {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	}
	if g, b := good.Load(), bad.Load(); g != 10 || b != 0 {
		t.Errorf("%d requests at the good address and %d at the bad one, want 10 and 0", g, b)
	}
}

// The name is judged by what it resolves to when it is dialled, whatever it was
// when the connector was saved or the last time.
func TestNameThatChangesItsAddressIsJudgedAnew(t *testing.T) {
	t.Parallel()
	var good, bad atomic.Int64
	port := twins(t, counted(&good), counted(&bad))
	var address atomic.Value
	address.Store("127.0.0.2")
	l := setup(t, open("127.0.0.2/32"), func(string) []string { return []string{address.Load().(string)} })
	rawURL := "http://rebind.test:" + port
	if _, err := l.CheckURL(rawURL); err != nil {
		t.Fatal(err)
	}
	if got, err := get(t.Context(), l, rawURL); got != "200 " {
		t.Errorf("good address: %q, %v", got, err)
	}
	address.Store("127.0.0.1")
	_, err := get(t.Context(), l, rawURL)
	if _, ok := errors.AsType[*BlockedError](err); !ok {
		t.Errorf("bad address: %v, want a *BlockedError", err)
	}
	if g, b := good.Load(), bad.Load(); g != 1 || b != 0 {
		t.Errorf("%d requests at the good address and %d at the bad one, want 1 and 0", g, b)
	}
}
