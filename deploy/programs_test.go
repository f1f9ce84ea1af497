package deploy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"patchbay.dev/worker/jira/jiratest"
)

// program is a running program of ours.
type program struct {
	*exec.Cmd
	log *bufio.Scanner
}

// build returns the path of a program as it is built for deployment.
func build(t *testing.T, module, folder string, env ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), filepath.Base(folder))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", file, folder)
	cmd.Dir = filepath.Join("..", module)
	cmd.Env = append(os.Environ(), append(env, "GOWORK=off")...)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", folder, err, output)
	}
	return file
}

// launch starts a program and waits for a line of its log that matches; the
// first group is returned.
func launch(t *testing.T, wait, file string, args ...string) (*program, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), file, args...)
	for _, entry := range os.Environ() { // settings of whoever runs the test are not for it
		if !strings.HasPrefix(entry, "PATCHBAY_") {
			cmd.Env = append(cmd.Env, entry)
		}
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &program{cmd, bufio.NewScanner(stderr)}
	line := regexp.MustCompile(wait)
	for p.log.Scan() {
		if found := line.FindStringSubmatch(p.log.Text()); found != nil {
			go func() {
				for p.log.Scan() { // or the program would block on a full pipe
				}
			}()
			return p, found[len(found)-1]
		}
	}
	t.Fatalf("%s ended: %v", file, cmd.Wait())
	return nil, ""
}

// end stops a program as a supervisor does and wants it to end well.
func (p *program) end(t *testing.T) {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("%s after SIGTERM: %v", p.Path, err)
	}
}

func request(t *testing.T, method, url, body string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", response.StatusCode, answer)
}

func TestProgramsInPartsSurviveEachOther(t *testing.T) {
	t.Parallel()
	api := build(t, "api", "./cmd/api")
	worker := build(t, "worker", "./cmd/worker", "CGO_ENABLED=0")
	dir := t.TempDir()
	const execute, created = `{"params":{"message":"m"}}`, `200 {"id":"log",`

	broker, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	t.Cleanup(func() { broker.Shutdown(); broker.WaitForShutdown() })
	if !broker.ReadyForConnections(10 * time.Second) {
		t.Fatal("the broker did not start")
	}
	nats := "-nats-url=" + broker.ClientURL()
	private, public := filepath.Join(dir, "seal.key"), filepath.Join(dir, "seal.pub")
	generate := func(private string) (string, error) {
		cmd := exec.CommandContext(t.Context(), worker, "keys", "generate", "-seal-key-file="+private, "-seal-public-key-file="+public)
		output, err := cmd.CombinedOutput()
		return string(output), err
	}
	first, err := generate(private)
	if err != nil {
		t.Fatalf("keys generate: %v\n%s", err, first)
	}
	if again, err := generate(private); err != nil || again != first {
		t.Errorf("keys generate where they are: %v\n%s, want %s", err, again, first)
	}
	if other, err := generate(private + "2"); err == nil || !strings.Contains(other, "PATCHBAY_SEAL_PUBLIC_KEY_FILE") {
		t.Errorf("keys generate beside another public key: %v\n%s, want a refusal", err, other)
	}
	tickets := jiratest.Start()
	t.Cleanup(tickets.Close)
	listening := `"msg":"api is listening","address":"([^"]+)"`
	a, address := launch(t, listening, api, nats, "-http-addr=127.0.0.1:0", "-data-dir="+dir, "-seal-public-key-file="+public)
	url := "http://" + address + "/api/actions/connector/log"
	if got := request(t, "POST", url, `{"name":"n","connector_type_id":".server-log"}`); !strings.HasPrefix(got, created) {
		t.Fatalf("create: %s", got)
	}
	if got := request(t, "POST", url+"/_execute", execute); !strings.HasPrefix(got, "503 ") {
		t.Errorf("execute without a worker: %s, want 503", got)
	}
	w, _ := launch(t, `"msg":"worker is running"`, worker, nats, "-seal-key-file="+private, "-allowed-cidrs=127.0.0.0/8")
	if got, want := request(t, "POST", url+"/_execute", execute), `200 {"connector_id":"log","status":"ok"}`; got != want {
		t.Errorf("execute: %s, want %s", got, want)
	}

	// A secret that the api can only seal is one that the worker can open.
	jira := strings.TrimSuffix(url, "log") + "jira"
	body := `{"name":"n","connector_type_id":".jira","config":{"apiUrl":"` + tickets.URL() + `","projectKey":"CK"},
		"secrets":{"email":"patchbay@example.com","apiToken":"jira-token-1234"}}`
	if got := request(t, "POST", jira, body); !strings.HasPrefix(got, `200 {"id":"jira",`) {
		t.Fatalf("create: %s", got)
	}
	got := request(t, "POST", jira+"/_execute", `{"params":{"subAction":"issueTypes","subActionParams":{}}}`)
	if !strings.HasPrefix(got, `200 {"connector_id":"jira","status":"ok","data":[{`) {
		t.Errorf("execute jira: %s", got)
	}

	// What was answered is there after the api was killed.
	if err := a.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = a.Wait()
	a, address = launch(t, listening, api, nats, "-http-addr=127.0.0.1:0", "-data-dir="+dir, "-seal-public-key-file="+public)
	url = "http://" + address + "/api/actions/connector/log"
	if got := request(t, "GET", url, ""); !strings.HasPrefix(got, created) {
		t.Errorf("get after kill -9: %s", got)
	}
	if got, want := request(t, "POST", url+"/_execute", execute), `200 {"connector_id":"log","status":"ok"}`; got != want {
		t.Errorf("execute: %s, want %s", got, want)
	}
	http.DefaultClient.CloseIdleConnections()
	w.end(t)
	a.end(t)
}
