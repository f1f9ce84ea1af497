// Package e2e_test runs the scripts in testdata against Patchbay as users see
// it: over HTTP, with an Elasticsearch behind. See README.md.
package e2e_test

import (
	"context"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/tools/txtar"

	"patchbay.dev/deploy/inprocess"
	"patchbay.dev/shared/setting"
	"patchbay.dev/worker/index/elastictest"
	"patchbay.dev/worker/jira/jiratest"
)

// serverURL is the base URL of a running server to test instead of our own.
var serverURL = flag.String("server", "", "base URL of a compatible server to run the scripts against")

// otherServer says that the server of -server is not Patchbay.
var otherServer = flag.Bool("other", false, "the server of -server speaks Kibana's API and is not Patchbay")

// clusterURL is the URL of a real Elasticsearch to use instead of the stand-in.
var clusterURL = os.Getenv("PATCHBAY_TEST_ELASTICSEARCH_URL")

// credentials are flags of ours with the variables that set them for the real cluster.
var credentials = map[string]string{
	"elasticsearch-api-key":  "PATCHBAY_TEST_ELASTICSEARCH_API_KEY",
	"elasticsearch-username": "PATCHBAY_TEST_ELASTICSEARCH_USERNAME",
	"elasticsearch-password": "PATCHBAY_TEST_ELASTICSEARCH_PASSWORD",
	"elasticsearch-ca-file":  "PATCHBAY_TEST_ELASTICSEARCH_CA_FILE",
}

func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := parse(archive)
			if err != nil {
				t.Fatal(err)
			}
			base, variables := s.target(t)
			s.run(t, base, variables)
		})
	}
}

// target returns the base URL of the server that the script runs against, a fresh
// one of its own unless a flag names another, and the URLs of stand-ins of Jira.
func (s *script) target(t *testing.T) (base string, variables map[string]string) {
	switch {
	case *otherServer && s.patchbay:
		t.Skip("is about what only Patchbay does")
	case *serverURL != "" && s.jira:
		t.Skip("needs a server that may reach the stand-in of Jira")
	case *serverURL != "" && s.own:
		t.Skip("needs a server with settings or files of its own, not the one of -server")
	case (*serverURL != "" || clusterURL != "") && s.standIn:
		t.Skip("needs the stand-in of Elasticsearch, which fails on demand")
	case *serverURL != "":
		return strings.TrimSuffix(*serverURL, "/"), nil
	}
	dir := t.TempDir()
	for _, f := range s.files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	url := clusterURL
	if url == "" {
		standIn := elastictest.Start()
		t.Cleanup(func() {
			standIn.Close()
			for _, violation := range standIn.Violations() {
				t.Errorf("Elasticsearch got what it should not: %s", violation)
			}
		})
		url = standIn.URL()
	}
	args := []string{"-elasticsearch-url=" + url}
	for flagName, variable := range credentials {
		if value := os.Getenv(variable); value != "" {
			args = append(args, "-"+flagName+"="+value)
		}
	}
	if s.jira {
		variables = map[string]string{
			"cloud":      startJira(t, jiratest.Options{PageSize: 2}),
			"datacenter": startJira(t, jiratest.Options{PageSize: 2, DataCenter: true}),
		}
		args = append(args, "-allowed-cidrs=127.0.0.0/8")
	}
	for _, setting := range s.settings {
		args = append(args, strings.ReplaceAll(setting, "$DIR", dir))
	}
	return start(t, filepath.Join(dir, "data"), args...), variables
}

func startJira(t *testing.T, options jiratest.Options) string {
	t.Helper()
	standIn := jiratest.StartWith(options)
	t.Cleanup(func() {
		standIn.Close()
		for _, violation := range standIn.Violations() {
			t.Errorf("Jira got what it should not: %s", violation)
		}
	})
	return standIn.URL()
}

// start runs all of Patchbay in this process until the test ends and returns its
// base URL.
func start(t testing.TB, dataDir string, args ...string) string {
	t.Helper()
	base, stop := begin(t, dataDir, args...)
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return base
}

// begin runs all of Patchbay in this process until it is stopped. stop may be
// called in another goroutine than the test's; the first call counts.
func begin(t testing.TB, dataDir string, args ...string) (base string, stop func() error) {
	t.Helper()
	config := configure(t, dataDir, args...)
	ready := make(chan string, 1)
	config.API.Ready = func(url string) { ready <- url }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- inprocess.Run(ctx, config, slog.New(slog.NewTextHandler(t.Output(), nil)))
	}()
	select {
	case url := <-ready:
		return url, sync.OnceValue(func() error {
			http.DefaultClient.CloseIdleConnections()
			cancel()
			return <-ended
		})
	case err := <-ended:
		cancel()
		t.Fatalf("start: %v", err)
		return "", nil
	}
}

func configure(t testing.TB, dataDir string, args ...string) inprocess.Config {
	t.Helper()
	var config inprocess.Config
	fs := flag.NewFlagSet("e2e", flag.ContinueOnError)
	config.Flags(fs)
	if _, err := setting.Parse(fs, append([]string{"-http-addr=127.0.0.1:0", "-data-dir=" + dataDir}, args...), nil); err != nil {
		t.Fatal(err)
	}
	return config
}
