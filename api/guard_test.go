package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/api/access"
	"patchbay.dev/shared/wire"
)

// keys runs the command on the server's database, as another process does.
func (b *bundle) keys(args ...string) (stdout, stderr string, err error) {
	var out, said bytes.Buffer
	err = Keys(b.Context(), "api", append(args, "-data-dir", b.dir), nil, &out, &said)
	return out.String(), said.String(), err
}

// age lets what the guard knows be of an age.
func (b *bundle) age(age time.Duration) {
	at := int64(time.Since(began) - age)
	b.server.guard.looked.at.Store(at)
	b.server.guard.mu.Lock()
	defer b.server.guard.mu.Unlock()
	for _, h := range b.server.guard.holders {
		h.fresh.at.Store(at)
	}
}

// forgetTime lets what the guard knows become stale at once.
func (b *bundle) forgetTime() {
	b.age(keyFresh)
}

func TestServerWithoutKeysIgnoresCredentials(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, value := range []string{"", "ApiKey !", "Basic " + access.Credential{ID: "elastic", Secret: "changeme"}.Encoded(), "Digest x"} {
		b.must(b.send("GET", "/api/actions/connectors", "", authorization(value)), http.StatusOK)
		b.must(b.send("GET", "/api/security/api_key", "", authorization(value)), http.StatusOK)
		if got := b.must(b.send("GET", "/api/status", "", authorization(value)), http.StatusOK); !strings.Contains(got.body, kibanaVersion) {
			t.Errorf("status %s", got.body)
		}
	}
}

func TestFirstKeyOfAnotherProcessClosesTheDoorForGood(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(b.send("GET", "/api/actions/connectors", ""), http.StatusOK)
	encoded, _, err := b.keys("create", "-name", "admin", "-admin")
	if err != nil {
		t.Fatal(err)
	}
	b.forgetTime()
	b.must(b.send("GET", "/api/actions/connectors", ""), http.StatusUnauthorized)
	carry := authorization("ApiKey " + strings.TrimSpace(encoded))
	b.must(b.send("GET", "/api/actions/connectors", "", carry), http.StatusOK)

	id := b.onlyKey(carry)
	if _, _, err := b.keys("revoke", id); err != nil {
		t.Fatal(err)
	}
	b.forgetTime()
	b.must(b.send("GET", "/api/actions/connectors", "", carry), http.StatusUnauthorized)
	b.must(b.send("GET", "/api/actions/connectors", ""), http.StatusUnauthorized)
}

// onlyKey returns the id of the one key that there is.
func (b *bundle) onlyKey(carry func(*http.Request)) string {
	b.Helper()
	var list struct {
		Keys []keyAnswer `json:"api_keys"`
	}
	got := b.must(b.send("GET", "/api/security/api_key", "", carry), http.StatusOK)
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list.Keys) != 1 {
		b.Fatalf("keys: %s, %v", got.body, err)
	}
	return list.Keys[0].ID
}

// A key is read once while it is fresh, and what another process did to it holds
// when it is not.
func TestKeyOfAnotherProcessIsSeenWhenItIsStale(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key, credential := b.newKey(access.Privileges{Admin: true})
	carry := authorization("ApiKey " + credential.Encoded())
	b.must(b.send("GET", "/api/actions/connectors", "", carry), http.StatusOK)
	if _, err := b.server.store.DeleteKeys(t.Context(), []string{key.ID}); err != nil {
		t.Fatal(err)
	}
	b.must(b.send("GET", "/api/actions/connectors", "", carry), http.StatusOK) // within the second
	b.forgetTime()
	b.must(b.send("GET", "/api/actions/connectors", "", carry), http.StatusUnauthorized)
	if n := len(b.server.guard.holders); n != 0 {
		t.Errorf("%d keys in memory, want none", n)
	}
}

// A key that was read while it was revoked is not remembered.
func TestRevocationIsNotOvertakenByARead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key, _ := b.newKey(access.Privileges{Admin: true})
	g := b.server.guard
	before := g.generation
	g.forget(key.ID)
	g.admit(key, before, time.Since(began))
	if n := len(g.holders); n != 0 {
		t.Errorf("%d keys in memory, want none", n)
	}
	g.admit(key, g.generation, time.Since(began))
	if n := len(g.holders); n != 1 {
		t.Errorf("%d keys in memory, want one", n)
	}
}

func TestUnknownIDsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.newKey(access.Privileges{Admin: true})
	for range 50 {
		_, secret := access.NewKey("", access.Privileges{}, time.Now(), time.Time{})
		b.must(b.send("GET", "/api/actions/connectors", "", authorization("ApiKey "+access.Credential{ID: secret, Secret: secret}.Encoded())), http.StatusUnauthorized)
	}
	if n := len(b.server.guard.holders); n != 0 {
		t.Errorf("%d keys in memory, want none", n)
	}
}

// Kibana's order: who is it, is it well formed, may he, does it exist.
func TestChecksComeInKibanasOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	reader := b.key(access.Privileges{Read: []string{"*"}})
	const path = "/api/actions/connector/nope"
	b.must(b.sendBad("PUT", path, `{"nope":1}`), http.StatusUnauthorized)
	b.must(b.sendBad("GET", "/s/NOPE/api/actions/connectors", ""), http.StatusUnauthorized)
	b.must(b.sendBad("GET", "/s/NOPE/api/actions/connectors", "", reader), http.StatusBadRequest)
	b.must(b.sendBad("PUT", path, `{"nope":1}`, reader), http.StatusBadRequest)
	b.must(b.send("PUT", path, `{"name":"n"}`, reader), http.StatusForbidden)
	b.must(b.send("PUT", path, `{"name":"n"}`, b.key(access.Privileges{All: []string{"*"}})), http.StatusNotFound)
	b.must(b.sendBad("POST", path+"/_execute", `{}`, header(headerExecutionID, "!")), http.StatusUnauthorized)
	b.must(b.sendBad("POST", path+"/_execute", `{}`, reader), http.StatusBadRequest)
	// A type that there is not is for those to know who may create one.
	b.wantError(b.sendBad("POST", path, `{"name":"n","connector_type_id":".nope"}`, reader), http.StatusForbidden,
		`Unauthorized to create a ".nope" action`)
}

func TestEverySchemeOfKibanasClientsIsTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, credential := b.newKey(access.Privileges{Read: []string{"*"}})
	b.must(b.send("GET", "/api/actions/connectors", "", func(r *http.Request) { r.SetBasicAuth(credential.ID, credential.Secret) }), http.StatusOK)
	for _, scheme := range []string{"ApiKey ", "Bearer ", "apikey "} {
		b.must(b.send("GET", "/api/actions/connectors", "", authorization(scheme+credential.Encoded())), http.StatusOK)
	}
}

func TestKeyExpiresWhileItIsInUse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key, credential := b.newKey(access.Privileges{Read: []string{"*"}}, time.Now().Add(time.Hour))
	carry := authorization("ApiKey " + credential.Encoded())
	b.must(b.send("GET", "/api/actions/connectors", "", carry), http.StatusOK)
	key.Expires = time.Now()
	b.server.guard.holders[key.ID].key.Store(&key)
	b.wantError(b.send("GET", "/api/actions/connectors", "", carry), http.StatusUnauthorized, "the API key has expired")
}

func TestStatusTellsStrangersTheLevelAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	carry := b.key(access.Privileges{})
	b.wantAnswer(b.send("GET", "/api/status", ""), http.StatusOK, `{"status":{"overall":{"level":"available"}}}`)
	b.must(b.send("GET", "/api/status", "", authorization("ApiKey !")), http.StatusUnauthorized)
	if got := b.must(b.send("GET", "/api/status", "", carry), http.StatusOK); !strings.Contains(got.body, kibanaVersion) {
		t.Errorf("status %s", got.body)
	}
}

func TestIndexPatternsOfTheKeyGoToTheWorker(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var got atomic.Pointer[wire.Request]
	b.work(".index", func(r wire.Request, _ nats.Header) wire.Reply { got.Store(&r); return wire.Reply{} })
	b.create("a", indexBody)
	limited, credential := b.newKey(access.Privileges{Read: []string{"*"}, Indices: []string{"alerts-*"}})
	const path, body = "/api/actions/connector/a/_execute", `{"params":{"documents":[{}]}}`
	b.must(b.send("POST", path, body, authorization("ApiKey "+credential.Encoded())), http.StatusOK)
	if a := got.Load().Access; a == nil || a.Key != limited.ID || !slices.Equal(a.Indices, []string{"alerts-*"}) {
		t.Errorf("access %+v", a)
	}
	b.must(b.send("POST", path, body, b.key(access.Privileges{Read: []string{"*"}})), http.StatusOK)
	if a := got.Load().Access; a != nil {
		t.Errorf("access %+v, want no limit", a)
	}
}

func TestStartWithoutKeysNeedsLoopbackOrToBeTold(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name               string
		loopback, off, key bool
		wantErr, wantOpen  bool
	}{
		{name: "loopback", loopback: true, wantOpen: true},
		{name: "loopback with a key", loopback: true, key: true},
		{name: "others", wantErr: true},
		{name: "others with a key", key: true},
		{name: "others, off", off: true, wantOpen: true},
		{name: "others with a key, off", off: true, key: true, wantOpen: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if test.key {
				key, _ := access.NewKey("k", access.Privileges{}, time.Now(), time.Now().Add(-time.Hour)) // an expired one is one
				if err := b.server.store.CreateKey(t.Context(), key); err != nil {
					t.Fatal(err)
				}
			}
			g := &guard{store: b.server.store, log: b.server.log, off: test.off}
			err := g.start(t.Context(), test.loopback, errNoFirstKey{"0.0.0.0:5601", "api"})
			if (err != nil) != test.wantErr {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				for _, part := range []string{"PATCHBAY_HTTP_ADDR=0.0.0.0:5601", "`api keys create -name admin -admin`", "PATCHBAY_AUTH=off"} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%v does not tell %s", err, part)
					}
				}
				return
			}
			if open, err := g.open(t.Context()); open != test.wantOpen || err != nil {
				t.Errorf("open %t, %v, want %t", open, err, test.wantOpen)
			}
		})
	}
}

func TestRunRefusesToServeOthersWithoutAKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	config := Config{
		Addr: "0.0.0.0:0", DataDir: t.TempDir(), Program: "api", MaxBody: 1, MaxKeys: 1, Hosts: testKeeper.hosts,
		Ready: func(string) { t.Error("it serves") },
	}
	err := Run(t.Context(), config, b.server.nc, b.server.log)
	if err == nil || !strings.Contains(err.Error(), "keys create") {
		t.Errorf("error %v", err)
	}
}

// With keys, a name that leads to loopback is no trick: the page lacks the key.
func TestLoopbackWithKeysAnswersToEveryName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.server.loopback = true
	foreign := func(r *http.Request) { r.Host = "patchbay.example" }
	b.must(b.sendBad("GET", "/api/actions/connectors", "", foreign), http.StatusForbidden)
	carry := b.key(access.Privileges{Admin: true})
	b.must(b.sendBad("GET", "/api/actions/connectors", "", foreign, carry), http.StatusOK)
	b.must(b.sendBad("GET", "/api/actions/connectors", "", foreign), http.StatusUnauthorized)
}

func TestLastUseIsKeptWithoutAWritePerRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key, credential := b.newKey(access.Privileges{Read: []string{"*"}})
	before := time.Now().Truncate(time.Millisecond)
	for range 20 {
		b.must(b.send("GET", "/api/actions/connectors", "", authorization("ApiKey "+credential.Encoded())), http.StatusOK)
	}
	stored, err := b.server.store.Key(t.Context(), key.ID)
	if err != nil || !stored.LastUsed.IsZero() {
		t.Errorf("last used %v, %v: written by a request", stored.LastUsed, err)
	}
	if err := b.server.guard.writeUsed(t.Context()); err != nil {
		t.Fatal(err)
	}
	stored, err = b.server.store.Key(t.Context(), key.ID)
	if err != nil || stored.LastUsed.Before(before) || stored.LastUsed.After(time.Now()) {
		t.Errorf("last used %v, %v, want now", stored.LastUsed, err)
	}
}

func TestStoreThatCannotBeReadLetsNobodyIn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, credential := b.newKey(access.Privileges{Admin: true})
	if err := b.server.store.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.must(b.send("GET", "/api/actions/connectors", "", authorization("ApiKey "+credential.Encoded())), http.StatusInternalServerError)
	}
	b.server.guard.closed.Store(false)
	b.age(keyFresh)
	b.must(b.send("GET", "/api/actions/connectors", ""), http.StatusInternalServerError)
}
