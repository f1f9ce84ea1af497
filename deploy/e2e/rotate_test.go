package e2e_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"patchbay.dev/api"
	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker"
	"patchbay.dev/worker/jira/jiratest"
)

const issueTypes = `{"subAction":"issueTypes","subActionParams":{}}`

// load is executions and updates of Jira connectors, all the time.
type load struct {
	config   string
	executed atomic.Int64
	updated  atomic.Int64
	done     chan struct{}
	callers  sync.WaitGroup
}

// startLoad creates connectors j0, j1 and so on in two spaces, executes them all and
// updates every second one until the load is stopped. No call may fail.
func startLoad(t *testing.T, base, jiraURL string, connectors int) *load {
	t.Helper()
	l := &load{done: make(chan struct{})}
	l.config = `"name":"n","config":{"apiUrl":"` + jiraURL + `","projectKey":"CK"},
		"secrets":{"email":"patchbay@example.com","apiToken":"jira-token-1234"}`
	for n := range connectors {
		url := fmt.Sprintf("%s%s/api/actions/connector/j%d", base, []string{"", "/s/ops"}[n/2%2], n)
		if status, answer, err := postJSON(url, `{"connector_type_id":".jira",`+l.config+`}`); err != nil || status != http.StatusOK {
			t.Fatal(status, answer, err)
		}
		l.repeat(&l.executed, func() bool {
			status, answer, err := postJSON(url+"/_execute", `{"params":`+issueTypes+`}`)
			if err != nil || status != http.StatusOK || !strings.Contains(answer, `"status":"ok"`) {
				t.Errorf("execute %s: %d %s %v", url, status, answer, err)
				return false
			}
			return true
		})
		if n%2 == 1 {
			l.repeat(&l.updated, func() bool {
				status, answer, err := put(url, "{"+l.config+"}")
				if err != nil || status != http.StatusOK {
					t.Errorf("update %s: %d %s %v", url, status, answer, err)
					return false
				}
				return true
			})
		}
	}
	return l
}

func (l *load) repeat(count *atomic.Int64, call func() bool) {
	l.callers.Go(func() {
		for {
			select {
			case <-l.done:
				return
			default:
			}
			if !call() {
				return
			}
			count.Add(1)
		}
	})
}

// goesOn returns when more has been executed and updated since.
func (l *load) goesOn(t *testing.T) {
	t.Helper()
	executions, updates := l.executed.Load()+100, l.updated.Load()+20
	for deadline := time.Now().Add(30 * time.Second); l.executed.Load() < executions || l.updated.Load() < updates; {
		if t.Failed() || time.Now().After(deadline) {
			t.Fatal("the load does not go on")
		}
		<-time.After(time.Millisecond)
	}
}

func (l *load) stop(t *testing.T) {
	close(l.done)
	l.callers.Wait()
	t.Logf("%d executions and %d updates", l.executed.Load(), l.updated.Load())
}

func put(url, body string) (int, string, error) {
	request, err := http.NewRequest("PUT", url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), err
}

type rotated struct{ Total, Successful, Failed int }

func rotate(t *testing.T, base string) (r rotated) {
	t.Helper()
	status, answer, err := postJSON(base+"/api/actions/_rotate_secrets", "")
	if err != nil || status != http.StatusOK {
		t.Fatal(status, answer, err)
	}
	if err := json.Unmarshal([]byte(answer), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// rotateTwice wants the first to seal all that is not updated meanwhile, and the
// second to find nothing to do.
func rotateTwice(t *testing.T, base string, connectors int) {
	t.Helper()
	if got := rotate(t, base); got.Total != connectors || got.Failed != 0 || got.Successful < connectors/2 {
		t.Errorf("rotation: %+v, want %d without failures", got, connectors)
	}
	if got, want := rotate(t, base), (rotated{Total: connectors}); got != want {
		t.Errorf("second rotation: %+v, want %+v", got, want)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func startTickets(t *testing.T) *jiratest.Server {
	t.Helper()
	tickets := jiratest.Start()
	t.Cleanup(tickets.Close)
	return tickets
}

func TestKeysRotateUnderLoadWithoutAnError(t *testing.T) {
	t.Parallel()
	const connectors = 8
	tickets := startTickets(t)
	dir := t.TempDir()
	private, public := filepath.Join(dir, "seal.key"), filepath.Join(dir, "seal.pub")
	ring := must[*seal.Ring](t)(seal.ReadOrGenerate(private))
	if err := ring.Public().Publish(public); err != nil {
		t.Fatal(err)
	}
	p := startParts(t, func(c *api.Config) {
		c.DataDir, c.Hosts, c.MaxConnectors = dir, connector.AllHosts(), 100
		c.SealKey = must[*setting.File[*seal.PublicKey]](t)(seal.FollowPublicKey(public))
	})
	for range 2 {
		t.Cleanup(p.startWorker(t, func(c *worker.Config) {
			c.Hosts, c.CIDRs = connector.AllHosts(), []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			c.Ring = must[*setting.File[*seal.Ring]](t)(seal.FollowRing(private))
		}))
	}
	l := startLoad(t, p.url, tickets.URL(), connectors)
	l.goesOn(t)
	before := stored(t, dir, "j0")
	for range 3 {
		ring := must[*seal.Ring](t)(seal.AddKey(private))
		l.goesOn(t)
		// Too early: a prune after it would destroy everything.
		if got, want := rotate(t, p.url), (rotated{Total: connectors, Failed: connectors}); got != want {
			t.Errorf("rotation before the new key is published: %+v, want %+v", got, want)
		}
		if err := ring.Public().Publish(public); err != nil {
			t.Fatal(err)
		}
		rotateTwice(t, p.url, connectors)
		if _, removed, err := seal.PruneKeys(private); err != nil || removed != 1 {
			t.Fatal(removed, err)
		}
		l.goesOn(t)
	}
	l.stop(t)

	// The key of the first secrets is gone from both workers.
	nc := p.connect(t)
	request := must[[]byte](t)(wire.Encode(wire.Request{
		ExecutionID: "e", Space: "default", Connector: before, TimeLeft: wire.Millis(10 * time.Second), Params: json.RawMessage(issueTypes),
	}))
	refused := 0
	for deadline := time.Now().Add(10 * time.Second); refused < 20; {
		answer, err := nc.Request("patchbay.v1.execute.jira", request, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		refused++
		if !strings.Contains(string(answer.Data), "sealed to the key "+ring.Public().ID().String()) {
			refused = 0
		}
		if time.Now().After(deadline) {
			t.Fatalf("secrets from before the rotations still open: %s", answer.Data)
		}
	}
}

// stored reads a Jira connector from the database as a request carries it.
func stored(t *testing.T, dir, id string) wire.Connector {
	t.Helper()
	db := must[*sql.DB](t)(sql.Open("sqlite3", "file:"+filepath.Join(dir, "patchbay.db")+"?mode=ro"))
	defer db.Close()
	c := wire.Connector{ID: id, Type: ".jira", Name: "n", Version: 1}
	var config string
	if err := db.QueryRowContext(t.Context(), `SELECT config, secrets FROM connector WHERE id = ?`, id).Scan(&config, &c.Secrets); err != nil {
		t.Fatal(err)
	}
	c.Config = json.RawMessage(config)
	return c
}

func TestKeysOfTheAllInOneRotateByTheirFileAlone(t *testing.T) {
	t.Parallel()
	const connectors = 4
	tickets := startTickets(t)
	dir := filepath.Join(t.TempDir(), "data")
	base := start(t, dir, "-allowed-cidrs=127.0.0.0/8")
	file := filepath.Join(dir, "seal.key")
	l := startLoad(t, base, tickets.URL(), connectors)
	for range 2 {
		l.goesOn(t)
		must[*seal.Ring](t)(seal.AddKey(file))
		rotateTwice(t, base, connectors)
		if _, removed, err := seal.PruneKeys(file); err != nil || removed != 1 {
			t.Fatal(removed, err)
		}
	}
	l.goesOn(t)
	l.stop(t)
}

// BenchmarkRotate is a rotation of a thousand connectors in the all-in-one.
func BenchmarkRotate(b *testing.B) {
	const connectors = 1000
	dir := filepath.Join(b.TempDir(), "data")
	base := start(b, dir)
	body := `{"connector_type_id":".jira","name":"n","config":{"apiUrl":"https://jira.example.com","projectKey":"CK"},
		"secrets":{"email":"patchbay@example.com","apiToken":"jira-token-1234"}}`
	for range connectors {
		if status, answer, err := postJSON(base+"/api/actions/connector", body); err != nil || status != http.StatusOK {
			b.Fatal(status, answer, err)
		}
	}
	for b.Loop() {
		b.StopTimer()
		if _, err := seal.AddKey(filepath.Join(dir, "seal.key")); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		want := fmt.Sprintf(`{"total":%d,"successful":%d,"failed":0}`, connectors, connectors)
		if _, answer, err := postJSON(base+"/api/actions/_rotate_secrets", ""); err != nil || strings.TrimSpace(answer) != want {
			b.Fatal(answer, err)
		}
	}
}
