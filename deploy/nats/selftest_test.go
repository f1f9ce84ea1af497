package nats_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/api"
	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
	"patchbay.dev/worker"
)

// soon is within how long a missing permission must be named.
const soon = 5 * time.Second

// missing are permissions taken away in turn, as edits of nats.conf, and what
// must then be said.
type missing struct{ user, edit, with, want string }

var missings = []missing{
	{"api", `"patchbay.v1.execute.*", "p`, `"p`, `Publish to "patchbay.v1.execute.`},
	{"api", `"patchbay.v1.cancel.*", "p`, `"p`, `Publish to "patchbay.v1.cancel.`},
	{"api", `, "patchbay.v1.reseal.*"`, ``, `Publish to "patchbay.v1.reseal.`},
	{"api", `subscribe: "_INBOX_api.>"`, `subscribe: "other"`, `Subscription to "_INBOX_api.`},
	{"worker", `"patchbay.v1.execute.* workers", `, ``, `Subscription to "patchbay.v1.execute.`},
	{"worker", `"patchbay.v1.reseal.* workers", `, ``, `Subscription to "patchbay.v1.reseal.`},
	{"worker", `, "patchbay.v1.cancel.*", "`, `, "`, `Subscription to "patchbay.v1.cancel.`},
	{"worker", `, "patchbay.v1.pause.*"]
        publish`, `]
        publish`, `Subscription to "patchbay.v1.pause.`},
	{"worker", `, "patchbay.v1.pause.*"]
    } }`, `]
    } }`, `Publish to "patchbay.v1.pause.`},
	{"worker", `worker_publish: "_INBOX_api.*.*"`, `worker_publish: "other"`, `Publish to "_INBOX_api.`},
}

// program runs a program's Run and returns the end of it and the lines of its log.
func program(t *testing.T, user string, nc *nats.Conn, ready func(url string)) (ended <-chan error, lines <-chan string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	read, write := io.Pipe()
	log := slog.New(slog.NewTextHandler(write, nil))
	end, said := make(chan error, 1), make(chan string, 1000)
	stopped := make(chan struct{})
	t.Cleanup(func() { stop(); <-stopped })
	go func() {
		for scanner := bufio.NewScanner(read); scanner.Scan(); {
			said <- scanner.Text()
		}
	}()
	dir := t.TempDir()
	ring, err := seal.Generate()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(stopped)
		defer write.Close()
		if user == "api" {
			end <- api.Run(ctx, api.Config{Addr: "127.0.0.1:0", DataDir: dir, ExecuteTimeout: patience, ReadTimeout: patience, WriteTimeout: patience,
				MaxBody: 1 << 20, MaxConnectors: 10, ShutdownTimeout: patience, Ready: ready}, nc, log)
			return
		}
		end <- worker.Run(ctx, worker.Config{Slots: 1, Types: []string{"all"}, MaxResponse: 1 << 20,
			Ring: setting.Fixed(ring), ShutdownTimeout: patience, Ready: func() { ready("") }}, nc, log)
	}()
	return end, said
}

func waitLine(t *testing.T, lines <-chan string, want string) {
	t.Helper()
	for timeout := time.After(soon); ; {
		select {
		case line := <-lines:
			if strings.Contains(line, "level=ERROR") && strings.Contains(strings.ReplaceAll(line, `\`, ``), want) {
				return
			}
		case <-timeout:
			t.Fatalf("no error in the log that names %s", want)
		}
	}
}

func TestMissingPermissionStopsTheStart(t *testing.T) {
	t.Parallel()
	for _, m := range missings {
		t.Run(m.want, func(t *testing.T) {
			t.Parallel()
			b := start(t, m.edit, m.with)
			ended, _ := program(t, m.user, b.connect(t, m.user), func(string) {})
			select {
			case err := <-ended:
				for _, want := range []string{m.want, "the broker refuses the " + m.user, "deploy/nats/nats.conf"} {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("the start ended with %v, want it to say %q", err, want)
					}
				}
			case <-time.After(soon):
				t.Fatal("it started")
			}
		})
	}
}

func TestPermissionMissingOnceTheBrokerIsThereIsLogged(t *testing.T) {
	t.Parallel()
	for _, m := range missings {
		t.Run(m.want, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			port := b.Addr().(*net.TCPAddr).Port
			nc := b.connect(t, m.user, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
			ready := make(chan string, 1)
			ended, lines := program(t, m.user, nc, func(url string) { ready <- url })
			var address string
			select {
			case address = <-ready:
			case err := <-ended:
				t.Fatal(err)
			}
			b.Shutdown()
			b.WaitForShutdown()
			run(t, load(t, b.keys, m.edit, m.with), b.keys, port)
			waitLine(t, lines, m.want)
			if m.user == "api" {
				if got := readyz(t, address); !strings.Contains(got, "refuses") {
					t.Errorf("readyz: %s, want it to say that the broker refuses", got)
				}
			}
		})
	}
}

func readyz(t *testing.T, address string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(address + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.Status + string(body)
}
