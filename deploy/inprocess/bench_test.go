package inprocess

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"patchbay.dev/shared/setting"
)

// What one execution allocates on its whole way: HTTP server, api, broker, worker,
// executor and back. The client allocates nothing; the cluster of ".index" is one
// canned answer, whose own allocations are those of net/http and always the same.
//
//	go test -run '^$' -bench Execute -count 6 ./deploy/inprocess
func BenchmarkExecute(b *testing.B) {
	const document = `{"message":"disk full","host":"db-1"}`
	for _, test := range []struct {
		name, connector, params string
		counted                 bool
	}{
		{"server-log", `{"name":"n","connector_type_id":".server-log"}`, `{"params":{"message":"disk full"}}`, false},
		{"server-log-counted", `{"name":"n","connector_type_id":".server-log"}`, `{"params":{"message":"disk full"}}`, true},
		{"index", `{"name":"n","connector_type_id":".index","config":{"index":"i"}}`, `{"params":{"documents":[` + document + `]}}`, false},
	} {
		b.Run(test.name, func(b *testing.B) {
			address := start(b, test.counted)
			create(b, "http://"+address+"/api/actions/connector/bench", test.connector)
			conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", address)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			answers := bufio.NewReader(conn)
			request := fmt.Appendf(nil, "POST /api/actions/connector/bench/_execute HTTP/1.1\r\nHost: %s\r\n"+
				"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", address, len(test.params), test.params)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Write(request); err != nil {
					b.Fatal(err)
				}
				if err := discard(answers); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// start runs all parts until the benchmark ends and returns where the api listens.
func start(b *testing.B, counted bool) (address string) {
	b.Helper()
	const answer = `{"errors":false,"took":1,"items":[{"create":{"_index":"i","_id":"1","status":201}}]}`
	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	}))
	b.Cleanup(cluster.Close)
	var config Config
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	config.Flags(fs)
	settings := []string{"-http-addr=127.0.0.1:0", "-data-dir=" + b.TempDir(), "-elasticsearch-url=" + cluster.URL}
	if _, err := setting.Parse(fs, settings, nil); err != nil {
		b.Fatal(err)
	}
	ready, ended := make(chan string, 1), make(chan error, 1)
	if counted {
		registry := prometheus.NewRegistry()
		config.API.Metrics, config.Worker.Metrics = registry, registry
	}
	config.API.Ready = func(url string) { ready <- url }
	ctx, cancel := context.WithCancel(b.Context())
	log := slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // what a line costs is part of it
	go func() { ended <- Run(ctx, config, log) }()
	select {
	case at := <-ready:
		u, err := url.Parse(at)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				b.Errorf("end: %v", err)
			}
		})
		return u.Host
	case err := <-ended:
		cancel()
		b.Fatal(err)
		return ""
	}
}

func create(b *testing.B, url, body string) {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		b.Fatal(response.Status)
	}
}

// discard reads one answer, which must be of an execution that went well, and
// allocates nothing.
func discard(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	length, ok := 0, false
	for err == nil && len(line) > 0 {
		if line, err = r.ReadSlice('\n'); err != nil {
			return err
		}
		line = textproto.TrimBytes(line)
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, err = strconv.Atoi(string(value))
		}
		ok = ok || string(line) == "Patchbay-Outcome: ok"
	}
	if err == nil && !ok {
		body, _ := r.Peek(length)
		err = fmt.Errorf("the execution went wrong: %s", body)
	}
	if err == nil {
		_, err = r.Discard(length)
	}
	return err
}
