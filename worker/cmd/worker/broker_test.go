package main

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/setting"
)

func startBroker(t *testing.T, port int, options *server.Options) *server.Server {
	t.Helper()
	options.Host, options.Port, options.NoSigs, options.NoLog = "127.0.0.1", port, true, true
	broker, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	t.Cleanup(func() { broker.Shutdown(); broker.WaitForShutdown() })
	if !broker.ReadyForConnections(10 * time.Second) {
		t.Fatal("the broker did not start")
	}
	return broker
}

// Before the first connection no handler of the client hears of a refusal.
func TestBrokerThatComesLateAndRefusesIsReportedOnce(t *testing.T) {
	t.Parallel()
	gone := startBroker(t, server.RANDOM_PORT, &server.Options{})
	url, port := gone.ClientURL(), gone.Addr().(*net.TCPAddr).Port
	gone.Shutdown()
	gone.WaitForShutdown()

	read, write := io.Pipe()
	t.Cleanup(func() { read.Close() })
	said := make(chan string, 1000)
	go func() {
		for lines := bufio.NewScanner(read); lines.Scan(); {
			said <- lines.Text()
		}
	}()
	wait := func(want string) {
		t.Helper()
		for {
			select {
			case line := <-said:
				if strings.Contains(line, want) {
					return
				}
				if strings.Contains(line, "Violation") {
					t.Errorf("told again: %s", line)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("the log lacks %q", want)
			}
		}
	}
	nc, err := connect(setting.Broker{URL: url}, slog.New(slog.NewTextHandler(write, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	wait("broker cannot be reached; trying again until it can")

	refusing := startBroker(t, port, &server.Options{Username: "u", Password: "p"})
	wait(`Authorization Violation" settings="PATCHBAY_NATS_NKEY_FILE`)
	for deadline := time.Now().Add(10 * time.Second); ; {
		statistics, err := refusing.Varz(nil)
		if err != nil {
			t.Fatal(err)
		}
		if statistics.TotalConnections >= 3 {
			break // it has tried again
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not try again")
		}
	}
	refusing.Shutdown()
	refusing.WaitForShutdown()
	startBroker(t, port, &server.Options{})
	wait("broker connected")
}

func TestCredentialsFileIsUsed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "user.creds")
	if err := os.WriteFile(file, []byte("-----BEGIN NATS USER JWT-----\nthe.j.wt\n------END NATS USER JWT------\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := credentials(setting.Broker{CredsFile: file})
	if err != nil {
		t.Fatal(err)
	}
	var o nats.Options
	for _, option := range options {
		if err := option(&o); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := o.UserJWT(); err != nil || got != "the.j.wt" {
		t.Errorf("the broker would get %q, %v, want what the file has", got, err)
	}
}
