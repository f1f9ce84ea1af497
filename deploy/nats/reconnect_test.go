package nats_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// proxy is a way to the broker that can be cut.
type proxy struct {
	net.Listener
	to string

	mu    sync.Mutex
	conns []net.Conn
}

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: listener, to: to}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			broker, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, client, broker)
			p.mu.Unlock()
			serving.Go(func() { _, _ = io.Copy(broker, client); broker.Close() })
			serving.Go(func() { _, _ = io.Copy(client, broker); client.Close() })
		}
	})
	t.Cleanup(func() { listener.Close(); p.cut(); serving.Wait() })
	return p
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		conn.Close()
	}
	p.conns = nil
}

// What a worker answers on another connection than it was asked on must reach the
// api, and nothing may be taken for a missing permission.
func TestAnswerSurvivesAReconnectOfTheWorker(t *testing.T) {
	t.Parallel()
	b := start(t)
	way := startProxy(t, strings.TrimPrefix(b.ClientURL(), "nats://"))
	back := make(chan struct{}, 1)
	key, err := nats.NkeyOptionFromSeed(b.keys + "/worker/worker.nk")
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("nats://"+way.Addr().String(), key, refusesNothing(t), nats.MaxReconnects(-1),
		nats.ReconnectWait(10*time.Millisecond), nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	running, release := make(chan struct{}), make(chan struct{})
	startPool(t, nc, 1, serverLog(func(context.Context) (json.RawMessage, error) {
		close(running)
		<-release
		return json.RawMessage(`"done"`), nil
	}))
	d := b.dispatcher(t)
	answered := make(chan string, 1)
	go func() {
		reply, err := d.Ask(t.Context(), request(".server-log"), nil, patience)
		if err != nil || reply.Failure != nil {
			t.Errorf("Ask: %+v, %v", reply.Failure, err)
		}
		answered <- string(reply.Data)
	}()
	<-running
	way.cut()
	<-back
	close(release)
	if got := <-answered; got != `"done"` {
		t.Errorf("answer %s, want done", got)
	}
}

// An operator who puts nats.conf right has the broker read it again: no connection
// breaks, and the api must find out by itself.
func TestPermissionThatComesBackIsFound(t *testing.T) {
	t.Parallel()
	b := start(t)
	port := b.Addr().(*net.TCPAddr).Port
	nc := b.connect(t, "api", nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	ready := make(chan string, 1)
	_, lines := program(t, "api", nc, func(url string) { ready <- url })
	url := <-ready
	b.Shutdown()
	b.WaitForShutdown()
	const edit, with = `subscribe: "_INBOX_api.>"`, `subscribe: "other"`
	second := run(t, load(t, b.keys, edit, with), b.keys, port)
	waitLine(t, lines, `Subscription to "_INBOX_api.`)
	if err := second.ReloadOptions(again(t, b.keys, port, second)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; {
		got := readyz(t, url)
		if strings.HasPrefix(got, "200") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("readyz: %s", got)
		}
		time.Sleep(20 * time.Millisecond) // nothing signals it
	}
}

// again returns the right configuration for a broker that runs on a port.
func again(t *testing.T, keys string, port int, running *broker) *server.Options {
	t.Helper()
	options := load(t, keys)
	options.Host, options.Port, options.HTTPHost, options.HTTPPort = "127.0.0.1", port, "", 0
	options.StoreDir, options.NoSigs, options.NoLog = filepath.Dir(running.JetStreamConfig().StoreDir), true, true
	return options
}
