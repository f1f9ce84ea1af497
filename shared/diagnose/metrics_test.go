package diagnose

import (
	"bytes"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// metricsAt returns the setting as an operator makes it.
func metricsAt(t *testing.T, addr string) *Metrics {
	t.Helper()
	var m Metrics
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	m.Flags(fs)
	if m.On() {
		t.Error("metrics are on by default")
	}
	if err := fs.Set("metrics-addr", addr); err != nil {
		t.Fatal(err)
	}
	return &m
}

var figures = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "figures") })

func TestMetricsAndNothingElseAreServedUntilStop(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	m := metricsAt(t, ":0") // for others, too
	if !m.On() {
		t.Error("metrics are off with an address")
	}
	stop, err := m.Start(figures, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`msg="metrics are listening" address=\S+:(\d+)`).FindStringSubmatch(log.String())
	if found == nil {
		t.Fatalf("log: %s", log.String())
	}
	url := "http://127.0.0.1:" + found[1]
	ask := func(method, path string) (int, string, error) {
		request, err := http.NewRequestWithContext(t.Context(), method, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Close = true
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0, "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return response.StatusCode, string(body), err
	}
	for _, test := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/metrics", 200, "figures"},
		{"GET", "/metrics?name[]=x", 200, "figures"},
		{"POST", "/metrics", 405, "Method Not Allowed\n"},
		{"GET", "/", 404, "404 page not found\n"},
		{"GET", "/metrics/", 404, "404 page not found\n"},
		{"GET", "/debug/pprof/", 404, "404 page not found\n"},
	} {
		if status, body, err := ask(test.method, test.path); status != test.status || body != test.body || err != nil {
			t.Errorf("%s %s: %d %q %v, want %d %q", test.method, test.path, status, body, err, test.status, test.body)
		}
	}
	stop()
	if status, _, err := ask("GET", "/metrics"); err == nil {
		t.Errorf("served after the end: %d", status)
	}
}

func TestAddressThatCannotBeUsedNamesTheSetting(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, addr := range []string{taken.Addr().String(), "nonsense", "127.0.0.1"} {
		_, err := metricsAt(t, addr).Start(figures, slog.New(slog.DiscardHandler))
		if err == nil || !strings.HasPrefix(err.Error(), "PATCHBAY_METRICS_ADDR: ") {
			t.Errorf("%s: %v, want an error that names the setting", addr, err)
		}
	}
}
