package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"patchbay.dev/worker/index/elastictest"
	"patchbay.dev/worker/jira/jiratest"
)

// lines is a log that is read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// launch runs the program until the test ends and returns where the API listens, and
// where the metrics do, "" if they do not.
func launch(t *testing.T, args ...string) (api, metrics string) {
	t.Helper()
	args = append([]string{"-http-addr=127.0.0.1:0", "-data-dir=" + t.TempDir()}, args...)
	ctx, cancel := context.WithCancel(context.Background())
	stdout, line := io.Pipe()
	stderr := new(lines)
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, args, nil, line, stderr)
		_ = line.Close()
	}()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("end: %v", err)
		}
	})
	first := make([]byte, 1000)
	n, err := stdout.Read(first)
	if err != nil {
		t.Fatalf("no line: %v; log: %s", err, stderr)
	}
	if found := regexp.MustCompile(`"msg":"metrics are listening","address":"([^"]+)"`).FindStringSubmatch(stderr.String()); found != nil {
		metrics = "http://" + found[1]
	}
	return startLine.FindStringSubmatch(string(first[:n]))[1], metrics
}

func ask(t *testing.T, method, url, body string, headers ...string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(all)
}

func must(t *testing.T, status int, answer string) {
	t.Helper()
	if status >= 300 {
		t.Fatalf("%d %s", status, answer)
	}
}

// scrape returns the metrics of a program that has run an execution: some are not there
// before.
func scrape(t *testing.T) string {
	t.Helper()
	api, metrics := launch(t, "-metrics-addr=127.0.0.1:0")
	connector := api + "/api/actions/connector/log"
	status, answer := ask(t, "POST", connector, `{"name":"n","connector_type_id":".server-log"}`)
	must(t, status, answer)
	status, answer = ask(t, "POST", connector+"/_execute", `{"params":{"message":"m"}}`)
	must(t, status, answer)
	if status, _ := ask(t, "GET", metrics+"/", ""); status != http.StatusNotFound {
		t.Errorf("another path: %d, want 404", status)
	}
	status, answer = ask(t, "GET", metrics+"/metrics", "")
	must(t, status, answer)
	return answer
}

func TestOneScrapeTellsOfBothSides(t *testing.T) {
	t.Parallel()
	got := scrape(t)
	for _, sample := range []string{
		`patchbay_executions_total{outcome="ok",type=".server-log"} 1`,
		`patchbay_worker_executions_total{outcome="ok",type=".server-log"} 1`,
		`patchbay_broker_connected{side="api"} 1`,
		`patchbay_broker_connected{side="worker"} 1`,
		`patchbay_connectors 1`,
		`go_goroutines `,
		`process_start_time_seconds `,
	} {
		if !strings.Contains(got, "\n"+sample) {
			t.Errorf("the scrape lacks %s:\n%s", sample, got)
		}
	}
}

func TestMetricsAreNamedAsPrometheusAsks(t *testing.T) {
	t.Parallel()
	problems, err := promlint.New(strings.NewReader(scrape(t))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// The table of the README and a scrape hold the same metrics.
func TestReadmeListsTheMetrics(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	names := func(text, pattern string) []string {
		var all []string
		for _, found := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			all = append(all, found[1])
		}
		slices.Sort(all)
		return all
	}
	got := names(scrape(t), `(?m)^# TYPE (patchbay_\w+) `)
	if diff := cmp.Diff(names(string(readme), "(?m)^\\| `(patchbay_\\w+)"), got); diff != "" {
		t.Errorf("metrics (-README +scrape):\n%s", diff)
	}
}

func TestMetricsAreOffByDefaultAndNotOnThePublicPort(t *testing.T) {
	t.Parallel()
	api, metrics := launch(t)
	if metrics != "" {
		t.Errorf("metrics are served at %s", metrics)
	}
	if status, _ := ask(t, "GET", api+"/metrics", ""); status != http.StatusNotFound {
		t.Errorf("metrics on the public port: %d, want 404", status)
	}
}

// Whatever a user, a client or a destination says, no scrape repeats it.
func TestNoScrapeTellsWhoOrWhat(t *testing.T) {
	t.Parallel()
	const mark = "marked"
	jira := jiratest.Start()
	t.Cleanup(jira.Close)
	cluster := elastictest.Start()
	t.Cleanup(cluster.Close)
	api, metrics := launch(t, "-metrics-addr=127.0.0.1:0", "-allowed-cidrs=127.0.0.0/8", "-elasticsearch-url="+cluster.URL(), "-attempts=1")
	space := api + "/s/space-" + mark + "/api/actions"
	for id, connector := range map[string]string{
		"log":   `{"name":"name-marked","connector_type_id":".server-log"}`,
		"index": `{"name":"name-marked","connector_type_id":".index","config":{"index":"index-marked","executionTimeField":"field-marked"}}`,
		"jira": `{"name":"name-marked","connector_type_id":".jira","config":{"apiUrl":"` + jira.URL() + `","projectKey":"CK"},
			"secrets":{"email":"marked@example.com","apiToken":"token-marked"}}`,
	} {
		status, answer := ask(t, "POST", space+"/connector/id-"+mark+"-"+id, connector)
		must(t, status, answer)
	}
	for id, params := range map[string]string{
		"log":   `{"message":"text-marked"}`,
		"index": `{"documents":[{"text":"text-marked"}]}`,
		"jira":  `{"subAction":"issue","subActionParams":{"id":"issue-marked"}}`,
	} {
		path := space + "/connector/id-" + mark + "-" + id + "/_execute"
		status, answer := ask(t, "POST", path, `{"params":`+params+`}`, "Patchbay-Execution-Id", "execution-marked-"+id)
		must(t, status, answer)
		status, answer = ask(t, "POST", path, `{"params":`+params+`}`, "Prefer", "respond-async, wait=10", "Idempotency-Key", "key-marked-"+id)
		must(t, status, answer)
		ask(t, "POST", path, `{"params":{"marked":"marked"}}`)
	}
	ask(t, "GET", api+"/path-marked?query=marked", "", "User-Agent", mark, "Authorization", "ApiKey "+mark)
	ask(t, "MARKED", space+"/connectors", "")
	ask(t, "POST", space+"/connector/marked", `{"name":"n","connector_type_id":".type-marked"}`)
	status, answer := ask(t, "GET", metrics+"/metrics?marked=marked", "")
	must(t, status, answer)
	for _, told := range []string{mark, strings.TrimPrefix(jira.URL(), "http://"), strings.TrimPrefix(cluster.URL(), "http://")} {
		for line := range strings.Lines(answer) {
			if strings.Contains(strings.ToLower(line), told) {
				t.Errorf("the scrape tells %s: %s", told, line)
			}
		}
	}
	if !strings.Contains(answer, `patchbay_executions_total{outcome="ok",type=".index"} 1`) {
		t.Errorf("nothing was run:\n%s", answer)
	}
}
