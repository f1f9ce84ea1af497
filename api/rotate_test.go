package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"patchbay.dev/api/store"
	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
	"patchbay.dev/shared/wire"
)

const rotatePath = "/api/actions/_rotate_secrets"

// rotating is a server whose key follows the newest of a ring file.
type rotating struct {
	*bundle
	file string
	log  *syncBuffer
}

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func setupRotation(t *testing.T, o options) *rotating {
	t.Helper()
	r := &rotating{file: filepath.Join(t.TempDir(), "seal.key"), log: new(syncBuffer)}
	if _, err := seal.ReadOrGenerate(r.file); err != nil {
		t.Fatal(err)
	}
	key, err := seal.FollowNewest(r.file)
	if err != nil {
		t.Fatal(err)
	}
	o.log, o.key = slog.NewTextHandler(r.log, nil), key
	r.bundle = setupWith(t, o)
	return r
}

// addKey makes a new key the newest and returns its id.
func (r *rotating) addKey() seal.KeyID {
	r.Helper()
	ring, err := seal.AddKey(r.file)
	if err != nil {
		r.Fatal(err)
	}
	return ring.Public().ID()
}

// reseal is what a worker with the ring file does.
func (r *rotating) reseal(request wire.ResealRequest) wire.ResealReply {
	ring, err := seal.ReadRing(r.file)
	if err != nil {
		r.Error(err)
	}
	return resealWith(ring, request)
}

func resealWith(ring *seal.Ring, request wire.ResealRequest) (reply wire.ResealReply) {
	for _, item := range request.Items {
		secrets, err := ring.Reseal(item.Secrets, item.Binding)
		if err != nil {
			reply.Items = append(reply.Items, wire.Resealed{Error: err.Error()})
			continue
		}
		reply.Items = append(reply.Items, wire.Resealed{Secrets: secrets})
	}
	return reply
}

// serveReseal stands in for a worker of .jira with the ring file; the answer to a
// batch is what answer returns, none for nil.
func (r *rotating) serveReseal(answer func(wire.ResealRequest) *wire.ResealReply) {
	r.Helper()
	r.serve(func(request wire.ResealRequest) *wire.ResealReply {
		if len(request.Items) > 0 {
			return answer(request)
		}
		ring, err := seal.ReadRing(r.file)
		if err != nil {
			r.Error(err)
		}
		return &wire.ResealReply{Key: ring.Public().ID().String()}
	})
}

// serve is serveReseal that leaves the question for the newest key to answer.
func (r *rotating) serve(answer func(wire.ResealRequest) *wire.ResealReply) {
	r.Helper()
	_, err := r.workers.QueueSubscribe("patchbay.v1.reseal.jira", wire.QueueGroup, func(msg *nats.Msg) {
		var request wire.ResealRequest
		if err := json.Unmarshal(msg.Data, &request); err != nil {
			r.Errorf("request to worker: %v", err)
		}
		reply := answer(request)
		if reply == nil {
			return
		}
		body, err := wire.Encode(reply)
		if err != nil {
			r.Errorf("answer of worker: %v", err)
		}
		if err := msg.Respond(body); err != nil {
			r.Errorf("respond: %v", err)
		}
	})
	if err != nil {
		r.Fatal(err)
	}
	if err := r.workers.Flush(); err != nil {
		r.Fatal(err)
	}
}

// work has batches sealed anew as they come.
func (r *rotating) work() {
	r.serveReseal(func(request wire.ResealRequest) *wire.ResealReply { reply := r.reseal(request); return &reply })
}

func (r *rotating) rotate() answer {
	r.Helper()
	return r.send("POST", rotatePath, "")
}

func (r *rotating) wantRotated(total, successful, failed int) {
	r.Helper()
	r.wantAnswer(r.rotate(), http.StatusOK, fmt.Sprintf(`{"total":%d,"successful":%d,"failed":%d}`, total, successful, failed))
}

// keys returns the keys that stored connectors are sealed to, by connector.
func (r *rotating) keys() map[string]seal.KeyID {
	r.Helper()
	page, err := r.server.store.Sealed(r.Context(), "", 1000, 1<<30)
	if err != nil {
		r.Fatal(err)
	}
	keys := make(map[string]seal.KeyID)
	for _, c := range page {
		if keys[c.ID], err = seal.KeyOf(c.Secrets); err != nil {
			r.Error(err)
		}
	}
	return keys
}

// put stores a connector with secrets past the routes.
func (r *rotating) put(id, typeID string, secrets []byte) {
	r.Helper()
	_, err := r.server.store.Create(r.Context(), store.Connector{ID: id, Space: "ops", Type: typeID, Name: "n", Config: json.RawMessage(`{}`), Secrets: secrets})
	if err != nil {
		r.Fatal(err)
	}
}

// putSealed stores so many connectors whose secrets have so many bytes.
func (r *rotating) putSealed(count, bytes int) {
	r.Helper()
	key, err := r.server.keeper.key.Reload()
	if err != nil {
		r.Fatal(err)
	}
	for n := range count {
		id := fmt.Sprintf("c%04d-%d", n, bytes)
		sealed, err := key.Seal(make([]byte, bytes), seal.Binding{Space: "ops", ConnectorID: id, Type: ".jira", Config: []byte(`{}`)})
		if err != nil {
			r.Fatal(err)
		}
		r.put(id, ".jira", sealed)
	}
}

const preconfiguredJira = `
preconfigured:
  log: {name: Log, actionTypeId: .server-log}
  tickets:
    name: Tickets
    actionTypeId: .jira
    config: {apiUrl: https://jira.example.com, projectKey: OPS}
    secrets: {email: a@example.com, apiToken: "${JIRA_TOKEN}"}
`

func TestRotationSealsEverythingToTheCurrentKey(t *testing.T) {
	t.Parallel()
	r := setupRotation(t, options{preconfigured: preconfiguredJira})
	r.work()
	r.create("log-1", serverLogBody)
	r.must(r.send("POST", "/api/actions/connector/a", jiraBody), http.StatusOK)
	r.must(r.send("POST", "/s/ops/api/actions/connector/b", jiraBody), http.StatusOK)
	r.wantRotated(3, 0, 0) // there is one key yet
	newest := r.addKey()
	r.wantRotated(3, 3, 0)
	if diff := cmp.Diff(map[string]seal.KeyID{"a": newest, "b": newest}, r.keys()); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	r.wantRotated(3, 0, 0)
	if _, _, err := seal.PruneKeys(r.file); err != nil {
		t.Fatal(err)
	}
	ring, err := seal.ReadRing(r.file)
	if err != nil {
		t.Fatal(err)
	}
	requests := make(chan wire.Request, 1)
	r.bundle.work(".jira", func(r wire.Request, _ nats.Header) wire.Reply { requests <- r; return wire.Reply{} })
	for path, want := range map[string]string{
		"/api/actions/connector/a":             jiraSecrets,
		"/s/ops/api/actions/connector/b":       jiraSecrets,
		"/s/any/api/actions/connector/tickets": `{"email":"a@example.com","apiToken":"t0ken-of-the-env"}`,
	} {
		r.must(r.send("POST", path+"/_execute", jiraParams), http.StatusOK)
		got := <-requests
		binding := seal.Binding{Space: got.Space, ConnectorID: got.Connector.ID, Type: ".jira", Config: got.Connector.Config}
		if got.Connector.Preconfigured {
			binding.Space = seal.EverySpace
		}
		if secrets, err := ring.Open(got.Connector.Secrets, binding); err != nil || string(secrets) != want || got.Connector.Version != 1 {
			t.Errorf("%s: the worker opens %s, %v of version %d, want %s of version 1", path, secrets, err, got.Connector.Version, want)
		}
	}
	for _, secret := range []string{"s3cr3t", "t0ken"} {
		if strings.Contains(r.log.String(), secret) {
			t.Errorf("the log shows a secret: %s", r.log)
		}
	}
}

func TestRotationFailuresAreCountedAndLogged(t *testing.T) {
	t.Parallel()
	foreign, err := seal.Generate()
	if err != nil {
		t.Fatal(err)
	}
	r := setupRotation(t, options{})
	r.work()
	r.putSealed(2, 10)
	lost, err := foreign.Public().Seal([]byte("{}"), seal.Binding{})
	if err != nil {
		t.Fatal(err)
	}
	r.put("lost", ".jira", lost)
	r.put("gone", ".gone", lost) // of a type that no worker has
	r.put("broken", ".jira", []byte("no blob"))
	r.addKey()
	r.wantRotated(5, 2, 3)
	r.wantRotated(5, 0, 3)
	for _, want := range []string{
		`space=ops connector=lost type=.jira reason="the secrets are sealed to the key ` + foreign.Public().ID().String(),
		`space=ops connector=gone type=.gone reason="no worker to confirm that a prune is safe: no worker is running for this connector type"`,
		`space=ops connector=broken type=.jira reason="the sealed secrets cannot be read"`,
	} {
		if n := strings.Count(r.log.String(), `msg="secrets were not rotated" `+want); n != 2 {
			t.Errorf("the log has %d lines with %s, want one of each run:\n%s", n, want, r.log)
		}
	}
}

func TestRotationToAnotherKeyThanTheAPIsFails(t *testing.T) {
	t.Parallel()
	r := setupRotation(t, options{preconfigured: preconfiguredJira})
	other, err := seal.ReadOrGenerate(r.file + "-other") // the key of a stranger, perhaps
	if err != nil {
		t.Fatal(err)
	}
	old, err := seal.ReadRing(r.file)
	if err != nil {
		t.Fatal(err)
	}
	r.putSealed(2, 10)
	newest := r.addKey()
	r.serveReseal(func(request wire.ResealRequest) *wire.ResealReply {
		var reply wire.ResealReply
		for range request.Items {
			secrets, err := other.Public().Seal([]byte("{}"), seal.Binding{})
			if err != nil {
				t.Error(err)
			}
			reply.Items = append(reply.Items, wire.Resealed{Secrets: secrets})
		}
		reply.Items[len(reply.Items)-1].Secrets = []byte("no blob")
		return &reply
	})
	before := r.keys()
	r.wantRotated(3, 0, 3)
	if diff := cmp.Diff(before, r.keys()); diff != "" {
		t.Errorf("keys (-before +after):\n%s", diff)
	}
	if id, _ := seal.KeyOf(r.server.preconfigured["tickets"].Secrets()); id != old.Public().ID() {
		t.Errorf("the preconfigured connector is sealed to %s, want %s", id, old.Public().ID())
	}
	want := fmt.Sprintf("the newest key of the worker is %s and the key of the api is %s: give every worker the same keys", other.Public().ID(), newest)
	if !strings.Contains(r.log.String(), want) {
		t.Errorf("log: %s\nwant %s", r.log, want)
	}
}

func TestRotationGoesInBatches(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		count, bytes int
		maxPayload   int32
		batches      []int
		failed       int
	}{
		"none":            {0, 10, 0, nil, 0},
		"one":             {1, 10, 0, []int{1}, 0},
		"a full one":      {100, 10, 0, []int{100}, 0},
		"one more":        {101, 10, 0, []int{100, 1}, 0},
		"small messages":  {5, 1000, 8 << 10, []int{1, 1, 1, 1, 1}, 0},
		"two in one":      {5, 400, 5 << 10, []int{2, 2, 1}, 0},
		"larger than all": {2, 8000, 8 << 10, nil, 2},
		"large ones":      {5, 200 << 10, 1 << 20, []int{1, 1, 1, 1, 1}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setupRotation(t, options{maxPayload: test.maxPayload, maxConnectors: 1000})
			var batches []int
			r.serveReseal(func(request wire.ResealRequest) *wire.ResealReply {
				batches = append(batches, len(request.Items))
				reply := r.reseal(request)
				return &reply
			})
			r.putSealed(test.count, test.bytes)
			r.addKey()
			r.wantRotated(test.count, test.count-test.failed, test.failed)
			if diff := cmp.Diff(test.batches, batches); diff != "" {
				t.Errorf("batches (-want +got):\n%s", diff)
			}
			if test.failed > 0 && !strings.Contains(r.log.String(), "larger than the broker's max_payload") {
				t.Errorf("log: %s\nwant the limit", r.log)
			}
		})
	}
}

func TestASecondRotationIsRefusedWhileOneRuns(t *testing.T) {
	t.Parallel()
	r := setupRotation(t, options{})
	started, release := make(chan struct{}), make(chan struct{})
	r.serveReseal(func(request wire.ResealRequest) *wire.ResealReply {
		started <- struct{}{}
		<-release
		reply := r.reseal(request)
		return &reply
	})
	r.putSealed(1, 10)
	r.addKey()
	first := make(chan answer, 1)
	go func() { first <- r.rotate() }()
	await(t, started)
	r.wantError(r.rotate(), http.StatusTooManyRequests, "Encryption key rotation is in progress already.")
	close(release)
	r.wantAnswer(await(t, first), http.StatusOK, `{"total":1,"successful":1,"failed":0}`)
	r.wantRotated(1, 0, 0)
}

func TestARotationThatIsCutShortGoesOnWithTheNext(t *testing.T) {
	t.Parallel()
	r := setupRotation(t, options{maxConnectors: 1000})
	ctx, leave := context.WithCancel(t.Context())
	batches := 0
	r.serveReseal(func(request wire.ResealRequest) *wire.ResealReply {
		if batches++; batches == 3 {
			leave()
			return nil
		}
		reply := r.reseal(request)
		return &reply
	})
	r.putSealed(250, 10)
	newest := r.addKey()
	request, err := http.NewRequestWithContext(ctx, "POST", r.url+rotatePath, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		t.Fatalf("the caller who left got %s", response.Status)
	}
	rotated := 0
	for _, key := range r.keys() {
		if key == newest {
			rotated++
		}
	}
	if rotated != 200 {
		t.Errorf("%d are sealed to the new key, want the 200 of two batches", rotated)
	}
	for deadline := time.Now().Add(10 * time.Second); ; { // until the first has noticed
		got := r.rotate()
		if got.status == http.StatusTooManyRequests && time.Now().Before(deadline) {
			continue
		}
		r.wantAnswer(got, http.StatusOK, `{"total":250,"successful":50,"failed":0}`)
		return
	}
}

func TestAConnectorThatIsChangedMeanwhileIsNoFailure(t *testing.T) {
	t.Parallel()
	r := setupRotation(t, options{})
	for _, id := range []string{"updated", "deleted", "left"} {
		r.create(id, jiraBody)
	}
	r.serveReseal(func(request wire.ResealRequest) *wire.ResealReply {
		reply := r.reseal(request)
		r.must(r.send("PUT", "/api/actions/connector/updated", `{"name":"T","config":`+jiraConfig+`,"secrets":`+jiraSecrets+`}`), http.StatusOK)
		r.must(r.send("DELETE", "/api/actions/connector/deleted", ""), http.StatusNoContent)
		return &reply
	})
	newest := r.addKey()
	r.wantRotated(3, 1, 0)
	if diff := cmp.Diff(map[string]seal.KeyID{"updated": newest, "left": newest}, r.keys()); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if got := r.field(r.send("GET", "/api/actions/connector/updated", ""), "name"); got != "T" {
		t.Errorf("name %q, want that of the update", got)
	}
}

// Whoever took secrets before the rotation still needs the key from before.
func TestRotationWaitsForExecutionsThatCarryOlderSecrets(t *testing.T) {
	t.Parallel()
	r := setupRotation(t, options{})
	r.work()
	r.create("a", jiraBody)
	arrived, release := make(chan struct{}), make(chan struct{})
	r.bundle.work(".jira", func(wire.Request, nats.Header) wire.Reply { close(arrived); <-release; return wire.Reply{} })
	executed := make(chan answer, 1)
	go func() { executed <- r.send("POST", "/api/actions/connector/a/_execute", jiraParams) }()
	await(t, arrived)
	newest := r.addKey()
	rotated := make(chan answer, 1)
	go func() { rotated <- r.rotate() }()
	r.server.rotation.executing.awaitWait(t)
	if key := r.keys()["a"]; key != newest {
		t.Errorf("sealed to %s, want %s: only the answer waits", key, newest)
	}
	select {
	case got := <-rotated:
		t.Errorf("the rotation answered %s while an execution carried the old secrets", got.body)
	default:
	}
	close(release)
	r.must(await(t, executed), http.StatusOK)
	r.wantAnswer(await(t, rotated), http.StatusOK, `{"total":1,"successful":1,"failed":0}`)
}

// Whoever read the key before the rotation saves what it has to see.
func TestNoSaveEscapesARotation(t *testing.T) {
	t.Parallel()
	r := setupRotation(t, options{})
	r.work()
	const savers = 4
	done := make(chan struct{})
	var wg sync.WaitGroup
	for n := range savers {
		path := fmt.Sprint("/api/actions/connector/c", n)
		r.must(r.send("POST", path, jiraBody), http.StatusOK)
		wg.Go(func() {
			for body := `{"name":"T","config":` + jiraConfig + `,"secrets":` + jiraSecrets + `}`; ; {
				select {
				case <-done:
					return
				default:
				}
				if got := r.send("PUT", path, body); got.status != http.StatusOK {
					t.Errorf("update: %d %s", got.status, got.body)
				}
			}
		})
	}
	for range 20 {
		newest := r.addKey()
		if got := r.rotate(); !strings.HasSuffix(got.body, `"failed":0}`) {
			t.Errorf("rotate: %s", got.body)
		}
		for id, key := range r.keys() {
			if key != newest {
				t.Errorf("%s is sealed to %s after the rotation, want %s", id, key, newest)
			}
		}
	}
	close(done)
	wg.Wait()
}

func TestRotationWithoutAKeySaysWhatToSet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.server.keeper.key = nil
	b.wantError(b.send("POST", rotatePath, ""), http.StatusInternalServerError,
		"The server is not set up for this: secrets cannot be kept without a key to seal them to: set PATCHBAY_SEAL_PUBLIC_KEY_FILE for the api.")
}

func TestAnAPIThatStopsTellsTheCallerOfARotation(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, 0)
	workers := connect(t, broker)
	arrived := make(chan struct{}, 1)
	file := filepath.Join(t.TempDir(), "seal.key")
	if _, err := workers.QueueSubscribe("patchbay.v1.reseal.jira", wire.QueueGroup, func(m *nats.Msg) {
		var request wire.ResealRequest
		if len(m.Data) == 0 { // a probe
			return
		}
		if err := json.Unmarshal(m.Data, &request); err != nil {
			t.Error(err)
		}
		if len(request.Items) > 0 {
			arrived <- struct{}{}
			return
		}
		ring, err := seal.ReadRing(file)
		if err != nil {
			t.Error(err)
		}
		if err := m.Respond([]byte(`{"key":"` + ring.Public().ID().String() + `"}`)); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := workers.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.ReadOrGenerate(file); err != nil {
		t.Fatal(err)
	}
	key, err := seal.FollowNewest(file)
	if err != nil {
		t.Fatal(err)
	}
	x := run(t, Config{DataDir: t.TempDir(), ShutdownTimeout: 20 * time.Millisecond, SealKey: key, Hosts: testKeeper.hosts}, connect(t, broker))
	if status, body := x.call(t, "POST", "/api/actions/connector/a", jiraBody); status != http.StatusOK {
		t.Fatal(status, body)
	}
	if _, err := seal.AddKey(file); err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 1)
	go func() {
		status, body := x.call(t, "POST", rotatePath, "")
		told <- fmt.Sprint(status, body)
	}()
	await(t, arrived)
	x.stop()
	if got := await(t, told); !strings.HasPrefix(got, "503") || !strings.Contains(got, "rotate again for the rest") {
		t.Errorf("the caller was told %s", got)
	}
	if err := await(t, x.ended); err == nil || !strings.Contains(err.Error(), "stop: requests still ran") {
		t.Errorf("run: %v", err)
	}
}

func TestAPublicKeyThatCannotBeReadStopsRotationsAndTheOldOneStays(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	file := filepath.Join(t.TempDir(), "seal.pub")
	if err := testRing.Public().Publish(file); err != nil {
		t.Fatal(err)
	}
	ring, err := seal.Generate()
	if err != nil {
		t.Fatal(err)
	}
	broken := false
	key, err := setting.ReadFile(func() (*seal.PublicKey, error) {
		if broken {
			return nil, fmt.Errorf("it is broken")
		}
		return seal.ReadPublicKey(file)
	}, file)
	if err != nil {
		t.Fatal(err)
	}
	b := setupWith(t, options{log: slog.NewTextHandler(&log, nil), key: key})
	broken = true
	if err := ring.Public().Publish(file); err != nil {
		t.Fatal(err)
	}
	for range 2 { // whether it has changed cannot be known
		b.wantError(b.send("POST", rotatePath, ""), http.StatusInternalServerError,
			"The server is not set up for this: the current key is not known: "+
				"PATCHBAY_SEAL_PUBLIC_KEY_FILE (in the all-in-one PATCHBAY_SEAL_KEY_FILE): the value from before stays in use: it is broken.")
	}
	if !strings.Contains(log.String(), "it is broken") {
		t.Errorf("log: %s\nwant the reason", &log)
	}
	b.create("a", jiraBody)
	page, err := b.server.store.Sealed(t.Context(), "", 10, 1<<20)
	if err != nil || len(page) != 1 {
		t.Fatal(page, err)
	}
	if id, err := seal.KeyOf(page[0].Secrets); err != nil || id != testRing.Public().ID() {
		t.Errorf("sealed to %s, %v, want %s", id, err, testRing.Public().ID())
	}
}
