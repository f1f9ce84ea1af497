package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// way is how one program reaches another: through a proxy that can disturb it.
type way struct{ *toxiproxy.Proxy }

// newWay returns a way to an address, "host:port".
func newWay(t *testing.T, name, to string) way {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w := way{toxiproxy.NewProxy(server, name, freeAddress(t), to)}
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w
}

// What can be done to a way.
const (
	answersVanish  = "answers vanish"  // what comes back is swallowed, and the connection cut at the end
	requestsVanish = "requests vanish" // what is sent is
	answersReset   = "answers reset"   // the connection is reset when something comes back
	requestsReset  = "requests reset"  // and when something is sent
	slow           = "slow"            // what comes back is late
	far            = "far"             // the same, as it always is of what is far away
)

// toxics are the same as toxiproxy calls them.
var toxics = map[string]string{
	answersVanish:  `{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`,
	requestsVanish: `{"type":"timeout","stream":"upstream","attributes":{"timeout":0}}`,
	answersReset:   `{"type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`,
	requestsReset:  `{"type":"reset_peer","stream":"upstream","attributes":{"timeout":0}}`,
	slow:           `{"type":"latency","stream":"downstream","attributes":{"latency":300,"jitter":200}}`,
	far:            `{"name":"far","type":"latency","stream":"downstream","attributes":{"latency":30,"jitter":30}}`,
}

// disturb does something to a way until it is ended.
func (w way) disturb(t *testing.T, what string) (end func()) {
	t.Helper()
	added, err := w.Toxics.AddToxicJson(strings.NewReader(toxics[what]))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return sync.OnceFunc(func() { _ = w.Toxics.RemoveToxic(context.Background(), added.Name) })
}

// cut ends all connections and lets none be made until mend.
func (w way) cut() { w.Stop() }

// mend lets connections be made again.
func (w way) mend(t *testing.T) {
	t.Helper()
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
}

// taken are the ports that tests of this package use.
var taken sync.Map

// freeAddress returns an address that nobody listens on. It is not one of those that
// the system gives to clients, so that a program finds it free again after a restart.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := 20000 + rand.IntN(10000)
		if _, used := taken.LoadOrStore(port, true); used {
			continue
		}
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		listener.Close()
		return listener.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
}
