package diagnose

import (
	"bytes"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// start serves on addr and returns the address that the log tells.
func start(t *testing.T, addr string) (address string, stop func()) {
	t.Helper()
	var config Config
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	config.Flags(fs)
	if err := fs.Set("diagnostics-addr", addr); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	stop, err := config.Start(slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`msg="diagnostics are listening" address=(\S+)`).FindStringSubmatch(log.String())
	if found == nil {
		t.Fatalf("log: %s", log.String())
	}
	return found[1], stop
}

func TestProfilesAreServedToThisMachineAlone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		path, host, site string
		want             int
	}{
		{"/debug/pprof/", "", "", 200},
		{"/debug/pprof/heap", "localhost:6060", "none", 200},
		{"/debug/pprof/goroutine?debug=1", "[::1]:6060", "same-origin", 200},
		{"/debug/pprof/profile?seconds=1", "", "", 200},
		{"/debug/pprof/cmdline", "", "", 404}, // flags may hold a secret
		{"/", "", "", 404},
		{"/debug/pprof/heap", "rebound.example.com:6060", "", 403},
		{"/debug/pprof/heap", "10.0.0.1:6060", "", 403},
		{"/debug/pprof/heap", "", "cross-site", 403},
		{"/debug/pprof/heap", "", "same-site", 403},
	} {
		t.Run(test.path+" "+test.host+test.site, func(t *testing.T) {
			t.Parallel()
			address, stop := start(t, "127.0.0.1:0")
			defer stop()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+test.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Close = true
			request.Host = test.host
			if test.site != "" {
				request.Header.Set("Sec-Fetch-Site", test.site)
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != test.want || len(body) == 0 {
				t.Errorf("%s: %d bytes, %v, want %d", response.Status, len(body), err, test.want)
			}
		})
	}
}

func TestStopCutsWhatRuns(t *testing.T) {
	t.Parallel()
	address, stop := start(t, "localhost:0")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/debug/pprof/trace?seconds=60", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	stop()
	if _, err := io.Copy(io.Discard, response.Body); err == nil {
		t.Error("the trace went on to its end")
	}
	if again, err := http.DefaultClient.Do(request.Clone(t.Context())); err == nil {
		_ = again.Body.Close()
		t.Errorf("served after the end: %s", again.Status)
	}
}

func TestAddressesThatOthersReachAreRefused(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{":6060", "0.0.0.0:0", "[::]:0", "192.0.2.1:6060", "nonsense", "127.0.0.1"} {
		_, err := (&Config{addr: addr}).Start(slog.New(slog.DiscardHandler))
		if err == nil || !strings.HasPrefix(err.Error(), "PATCHBAY_DIAGNOSTICS_ADDR: ") {
			t.Errorf("%s: %v, want a refusal that names the setting", addr, err)
		}
	}
}

func TestNothingIsServedByDefault(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	stop, err := new(Config).Start(slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if log.Len() > 0 {
		t.Errorf("log: %s", log.String())
	}
}
