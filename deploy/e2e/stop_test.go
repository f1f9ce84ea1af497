package e2e_test

import (
	"context"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"patchbay.dev/deploy/inprocess"
	"patchbay.dev/shared/setting"
	"patchbay.dev/worker/index/elastictest"
)

// The parts stop in the order in which an execution under way is still answered.
func TestStopLetsAnExecutionFinish(t *testing.T) {
	t.Parallel()
	standIn := elastictest.Start()
	t.Cleanup(standIn.Close)
	var config inprocess.Config
	fs := flag.NewFlagSet("e2e", flag.ContinueOnError)
	config.Flags(fs)
	args := []string{"-http-addr=127.0.0.1:0", "-data-dir=" + t.TempDir(), "-elasticsearch-url=" + standIn.URL()}
	if _, err := setting.Parse(fs, args, nil); err != nil {
		t.Fatal(err)
	}
	ready := make(chan net.Addr, 1)
	config.API.Ready = func(address net.Addr) { ready <- address }
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- inprocess.Run(ctx, config, slog.New(slog.NewTextHandler(t.Output(), nil))) }()
	var url string
	select {
	case address := <-ready:
		url = "http://" + address.String() + "/api/actions/connector/i"
	case err := <-ended:
		t.Fatal(err)
	}
	if status, body, err := postJSON(url, `{"name":"n","connector_type_id":".index","config":{"index":"i"}}`); err != nil || status != http.StatusOK {
		t.Fatal(status, body, err)
	}
	release := standIn.Hold()
	answered := make(chan string, 1)
	go func() {
		_, body, err := postJSON(url+"/_execute", `{"params":{"documents":[{"n":1}]}}`)
		if err != nil {
			body = err.Error()
		}
		answered <- body
	}()
	patience, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := standIn.Wait(patience, 1); err != nil {
		t.Fatal(err)
	}
	stop()
	for { // until it takes no more requests
		conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/api/actions/connector/i"))
		if err != nil {
			break
		}
		conn.Close()
	}
	release()
	if body := <-answered; !strings.Contains(body, `"status":"ok"`) {
		t.Errorf("the execution under way: %s, want success", body)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := <-ended; err != nil {
		t.Errorf("stop: %v", err)
	}
}
