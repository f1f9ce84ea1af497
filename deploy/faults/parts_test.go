package faults_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"patchbay.dev/worker/index/elastictest"
	"patchbay.dev/worker/jira/jiratest"
)

// options say how the programs differ from what is shipped.
type options struct {
	workers int      // how many there are; none is running yet with 0
	api     []string // flags of the api
	worker  []string // flags of the workers
	broker  []string // pairs of what nats.conf says and what it says instead
}

// parts is Patchbay in separate programs, with ways between them that can be
// disturbed and destinations that count.
type parts struct {
	client
	dir     string
	broker  *program
	api     *program
	workers []*program
	elastic *elastictest.Server
	jira    *jiratest.Server

	toBroker  []way // of the api, and of each worker
	toElastic way
	toJira    way
	storage   string // the directory in which the broker keeps messages
	address   string // the broker's own
}

// setup starts broker, api and workers; each is ready when it returns.
func setup(t *testing.T, o options) *parts {
	t.Helper()
	p := prepare(t, o)
	up(t, p.broker, p.api)
	up(t, p.workers...)
	p.ready(t)
	return p
}

// prepare is setup without starting anything.
func prepare(t *testing.T, o options) *parts {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	p := &parts{dir: t.ArtifactDir(), elastic: elastictest.Start(), jira: jiratest.Start()}
	t.Cleanup(p.elastic.Close)
	t.Cleanup(p.jira.Close)
	p.toElastic = newWay(t, "workers to cluster", strings.TrimPrefix(p.elastic.URL(), "http://"))
	p.toJira = newWay(t, "workers to Jira", strings.TrimPrefix(p.jira.URL(), "http://"))
	p.generateKeys(t)

	address := freeAddress(t)
	p.address, p.storage = address, filepath.Join(p.dir, "jetstream")
	p.broker = newProgram(t, p.dir, "broker", "nats-server", "Server is ready",
		"-c", p.configure(t, o.broker), "-a", "127.0.0.1", "-p", address[strings.LastIndex(address, ":")+1:], "-sd", p.storage)

	p.client = newClient(t, "http://"+freeAddress(t))
	p.toBroker = append(p.toBroker, newWay(t, "api to broker", address))
	p.api = newProgram(t, p.dir, "api", "api", `"msg":"api is listening"`, append([]string{
		"-nats-url=nats://" + p.toBroker[0].Listen, "-nats-nkey-file=" + p.seed("api"), "-log-format=json",
		"-http-addr=" + strings.TrimPrefix(p.url, "http://"), "-data-dir=" + filepath.Join(p.dir, "data"),
		"-seal-public-key-file=" + filepath.Join(p.dir, "seal.pub"), "-allowed-hosts=*",
	}, o.api...)...)
	for n := range o.workers {
		p.addWorker(t, fmt.Sprint("worker", n+1), o.worker...)
	}
	return p
}

// addWorker adds a worker that is not running yet.
func (p *parts) addWorker(t *testing.T, name string, flags ...string) *program {
	t.Helper()
	toBroker := newWay(t, name+" to broker", p.address)
	w := newProgram(t, p.dir, name, "worker", `"msg":"worker is running"`, append([]string{
		"-nats-url=nats://" + toBroker.Listen, "-nats-nkey-file=" + p.seed("worker"), "-log-format=json",
		"-seal-key-file=" + filepath.Join(p.dir, "seal.key"), "-allowed-cidrs=127.0.0.0/8",
		"-elasticsearch-url=http://" + p.toElastic.Listen,
	}, flags...)...)
	p.toBroker, p.workers = append(p.toBroker, toBroker), append(p.workers, w)
	return w
}

func (p *parts) seed(user string) string { return filepath.Join(p.dir, "keys", user, user+".nk") }

func (p *parts) generateKeys(t *testing.T) {
	t.Helper()
	cmd := exec.Command(filepath.Join(binaries, "worker"), "keys", "generate", "-nats-keys-dir="+filepath.Join(p.dir, "keys"),
		"-seal-key-file="+filepath.Join(p.dir, "seal.key"), "-seal-public-key-file="+filepath.Join(p.dir, "seal.pub"))
	cmd.Env = withoutSettings()
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("keys generate: %v\n%s", err, output)
	}
}

// configure returns the file of a copy of nats.conf that lies beside the keys.
func (p *parts) configure(t *testing.T, edits []string) string {
	t.Helper()
	text, err := os.ReadFile("../nats/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	// Of the machine, and not what is tested. A user of the test's own looks on.
	edits = slices.Concat([]string{`http: "127.0.0.1:8222"`, "", "  users: [\n", "  users: [\n    { user: test, password: test }\n"}, edits)
	for i := 0; i < len(edits); i += 2 {
		if strings.Count(string(text), edits[i]) != 1 {
			t.Fatalf("nats.conf does not have %q once", edits[i])
		}
		text = []byte(strings.Replace(string(text), edits[i], edits[i+1], 1))
	}
	file := filepath.Join(p.dir, "nats.conf")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// ready waits until the api has its broker and, if there are any, workers answer.
func (p *parts) ready(t *testing.T) {
	t.Helper()
	eventually(t, "the api is ready", func() bool { return p.get("/readyz").status == 200 })
	if len(p.workers) == 0 {
		return
	}
	p.connector(t, "probe", `{"name":"probe","connector_type_id":".server-log"}`)
	eventually(t, "a worker answers", func() bool { return p.execute("probe", `{"message":"probe"}`).ok() })
}
