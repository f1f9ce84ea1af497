package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"patchbay.dev/api/access"
	"patchbay.dev/api/store"
)

// A key that is revoked, or expires, while a body is on its way does nothing more.
func TestKeyIsLookedAtAgainAfterTheBody(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*bundle, access.Key){
		"revoked over HTTP": func(b *bundle, key access.Key) {
			b.must(b.send("DELETE", "/api/security/api_key", `{"ids":["`+key.ID+`"]}`, b.key(access.Privileges{Admin: true})), http.StatusOK)
		},
		"revoked by the command": func(b *bundle, key access.Key) {
			if _, _, err := b.keys("revoke", key.ID); err != nil {
				b.Error(err)
			}
			b.forgetTime()
		},
		"expired": func(b *bundle, key access.Key) {
			key.Expires = time.Now()
			b.server.guard.holders[key.ID].key.Store(&key)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			key, credential := b.newKey(access.Privileges{Admin: true}, time.Now().Add(time.Hour))
			const body = `{"name":"back again","privileges":{"admin":true}}`
			conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := fmt.Fprintf(conn, "POST /api/security/api_key HTTP/1.1\r\nHost: h\r\nAuthorization: ApiKey %s\r\nContent-Length: %d\r\n\r\n%s",
				credential.Encoded(), len(body), body[:5]); err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(10 * time.Second); ; { // until the key was looked at
				b.server.guard.mu.RLock()
				admitted := b.server.guard.holders[key.ID] != nil
				b.server.guard.mu.RUnlock()
				if admitted {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the key was not looked at")
				}
			}
			end(b.in(t), key)
			if _, err := io.WriteString(conn, body[5:]); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusUnauthorized {
				t.Errorf("status %d, want 401", response.StatusCode)
			}
		})
	}
}

func TestWhatIsKnownIsRenewedInTime(t *testing.T) {
	t.Parallel()
	if keyFresh != time.Second || keyUsedEvery > time.Minute { // the README says so
		t.Errorf("known for %s, last use written every %s", keyFresh, keyUsedEvery)
	}
	aged := func(age time.Duration) *freshness {
		f := new(freshness)
		f.at.Store(int64(time.Since(began) - age))
		return f
	}
	learned := 0
	learn := func() error { learned++; return nil }
	for age, want := range map[time.Duration]int{0: 0, keyFresh/2 - 100*time.Millisecond: 0, keyFresh / 2: 1, keyFresh: 1, time.Hour: 1} {
		learned = 0
		f := aged(age)
		if err := f.renew(learn); err != nil || learned != want {
			t.Errorf("%s: learned %d times, %v, want %d", age, learned, err, want)
		}
		if err := f.renew(learn); err != nil || learned != want {
			t.Errorf("%s: learned %d times after that, %v, want %d", age, learned, err, want)
		}
	}

	// While one learns, the others go on with what is young enough and wait otherwise.
	young, old := aged(keyFresh*3/4), aged(keyFresh)
	young.mu.Lock()
	if err := young.renew(func() error { return errors.New("learned") }); err != nil {
		t.Error(err)
	}
	old.mu.Lock()
	ended := make(chan error, 1)
	go func() { ended <- old.renew(func() error { return errors.New("learned") }) }()
	select {
	case err := <-ended:
		t.Errorf("did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	old.mu.Unlock()
	if err := <-ended; err == nil {
		t.Error("did not learn")
	}
	failing := aged(keyFresh)
	for range 2 { // a failure leaves it as old as it was
		if err := failing.renew(func() error { return errors.New("no") }); err == nil {
			t.Error("a failure counts as knowledge")
		}
	}
}

func TestStaleKeyIsRefusedWhileTheStoreCannotBeRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	carry := b.key(access.Privileges{Admin: true})
	b.must(b.send("GET", "/api/actions/connector_types", "", carry), http.StatusOK)
	if err := b.server.store.Close(); err != nil {
		t.Fatal(err)
	}
	b.forgetTime()
	for range 2 {
		b.must(b.send("GET", "/api/actions/connector_types", "", carry), http.StatusInternalServerError)
	}
}

func TestStartWithAKeyIsClosedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key, _ := access.NewKey("k", access.Privileges{}, time.Now(), time.Time{})
	if err := b.server.store.CreateKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	g := &guard{store: b.server.store, log: b.server.log}
	if err := g.start(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.server.store.Close(); err != nil { // it needs not ask again
		t.Fatal(err)
	}
	if open, err := g.open(t.Context()); open || err != nil {
		t.Errorf("open %t, %v", open, err)
	}
}

func TestLastUseIsWrittenWhenTheServerStops(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), dir, store.Options{MaxKeys: 1})
	if err != nil {
		t.Fatal(err)
	}
	key, secret := access.NewKey("k", access.Privileges{}, time.Now(), time.Time{})
	if err := errors.Join(s.CreateKey(t.Context(), key), s.Close()); err != nil {
		t.Fatal(err)
	}
	r := run(t, Config{DataDir: dir, MaxKeys: 1, MaxRate: 10, MaxRunning: 1, ShutdownTimeout: 10 * time.Second}, connect(t, startBroker(t, 0)))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/api/actions/connector_types", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(key.ID, secret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	r.stop()
	if err := await(t, r.ended); err != nil {
		t.Fatal(err)
	}
	if s, err = store.Open(t.Context(), dir, store.Options{}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, err := s.Key(t.Context(), key.ID); err != nil || got.LastUsed.IsZero() || response.StatusCode != http.StatusOK {
		t.Errorf("status %d, key %+v, %v: no last use", response.StatusCode, got, err)
	}
}

func TestKeyOfAServerWithoutAuthenticationClosesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.server.guard.off = true
	b.must(b.send("POST", "/api/security/api_key", `{"name":"n","privileges":{"admin":true}}`), http.StatusOK)
	b.must(b.send("GET", "/api/actions/connectors", ""), http.StatusOK)
	if b.server.guard.closed.Load() {
		t.Error("closed")
	}
}

// audited is a bundle whose audit log the test reads.
func audited(t *testing.T) (*bundle, *syncBuffer) {
	t.Helper()
	var log syncBuffer
	return setupWith(t, options{audit: slog.NewJSONHandler(&log, &slog.HandlerOptions{ReplaceAttr: auditJSON})}), &log
}

func wantLines(t *testing.T, log *syncBuffer, want ...string) {
	t.Helper()
	var got []string
	for _, l := range auditLines(t, []byte(log.String())) {
		got = append(got, l.inShort())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("audit log\n got %q\nwant %q", got, want)
	}
}

func TestAuditLogNamesWhatWasRevokedAndDeletedOneByOne(t *testing.T) {
	t.Parallel()
	b, log := audited(t)
	admin := b.key(access.Privileges{Admin: true})
	one, _ := b.newKey(access.Privileges{})
	b.must(b.send("DELETE", "/api/security/api_key", `{"ids":["nobody","`+one.ID+`"]}`, admin), http.StatusOK)
	b.wantError(b.sendBad("DELETE", "/api/security/api_key", `{"ids":["a","`+strings.Repeat("a", maxKeyID+1)+`"]}`, admin), http.StatusBadRequest,
		"[request body.ids.1]: an id has at most 64 bytes")
	b.must(b.send("POST", "/api/spaces/space", `{"id":"ops","name":"Ops"}`, admin), http.StatusOK)
	b.must(b.send("POST", "/s/ops/api/actions/connector/a", serverLogBody, admin), http.StatusOK)
	b.must(b.send("DELETE", "/api/spaces/space/ops", "", admin), http.StatusNoContent)
	wantLines(t, log, "test api_key_invalidate success default api_key:"+one.ID, "test space_create success ops space:ops",
		"test connector_create success ops action:a", "test space_delete success ops space:ops", "test connector_delete success ops action:a")
}

func TestAuditLogHasEveryRefusal(t *testing.T) {
	t.Parallel()
	b, log := audited(t)
	nothing := b.key(access.Privileges{Read: []string{"elsewhere"}})
	b.must(b.send("GET", "/api/status", "", authorization("ApiKey !")), http.StatusUnauthorized)
	b.must(b.send("GET", "/api/spaces/space", "", nothing), http.StatusForbidden)
	wantLines(t, log, "nobody user_login failure default : Unauthorized", "test space_find failure default space: Forbidden")
}

func TestAuditLogIsBoundedPerLine(t *testing.T) {
	t.Parallel()
	b, log := audited(t)
	b.newKey(access.Privileges{})
	b.must(b.sendBad("GET", "/s/"+strings.Repeat("%01", 10_000)+"/api/actions/connectors", ""), http.StatusUnauthorized)
	b.must(b.sendBad("GET", "/api/actions/connector/"+strings.Repeat("a", 30_000), "", b.key(access.Privileges{})), http.StatusForbidden)
	for line := range strings.Lines(log.String()) {
		if len(line) > 32<<10 { // three texts of 1 KiB, escaped
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

func TestAuditLogTellsOfAPanic(t *testing.T) {
	t.Parallel()
	b, log := audited(t)
	carry := b.key(access.Privileges{Admin: true})
	b.must(b.send("GET", "/api/actions/connector_types", "", carry), http.StatusOK)
	before := b.server.store
	b.server.store = nil // what a slip of ours would be
	b.must(b.send("DELETE", "/api/actions/connector/a", "", carry), http.StatusInternalServerError)
	b.server.store = before
	wantLines(t, log, "test connector_delete failure default action:a Internal Server Error")
}

func TestCallerWhoLeavesMakesTheOutcomeUnknown(t *testing.T) {
	t.Parallel()
	b, log := audited(t)
	b.create("a", serverLogBody)
	arrived, release := held(t, b.workers)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/api/actions/connector/a/_execute", strings.NewReader(executeLog))
		if err != nil {
			t.Error(err)
			return
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
		}
	}()
	await(t, arrived)
	defer release()
	cancel()
	for deadline := time.Now().Add(10 * time.Second); strings.Count(log.String(), "\n") < 2; {
		if time.Now().After(deadline) {
			t.Fatal("no line about the execution")
		}
	}
	wantLines(t, log, "nobody connector_create success default action:a", "nobody connector_execute unknown default action:a Internal Server Error")
}

func TestKeysOfTheCommandAreInTheAuditLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file := filepath.Join(t.TempDir(), "audit.log")
	environ := []string{"PATCHBAY_AUDIT_FILE=" + file, "PATCHBAY_DATA_DIR=" + b.dir}
	var out, said bytes.Buffer
	if err := Keys(t.Context(), "api", []string{"create", "-name", "n", "-admin"}, environ, &out, &said); err != nil {
		t.Fatal(err)
	}
	credential, err := access.ParseAuthorization([]string{"ApiKey " + strings.TrimSpace(out.String())})
	if err != nil {
		t.Fatal(err)
	}
	if err := Keys(t.Context(), "api", []string{"revoke", credential.ID}, environ, &out, &said); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, action := range []string{"api_key_create", "api_key_invalidate"} {
		var l auditLine
		if err := json.Unmarshal(bytes.Split(data, []byte("\n"))[i], &l); err != nil || l.inShort() != "command line "+action+" success default api_key:"+credential.ID {
			t.Errorf("line %q, %v", l.inShort(), err)
		}
	}
}

func TestTornAuditLineDoesNotTakeTheNextWithIt(t *testing.T) {
	t.Parallel()
	f, err := openAuditFile(filepath.Join(t.TempDir(), "audit.log"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.file.WriteString(`{"to`); err != nil {
		t.Fatal(err)
	}
	f.torn = true
	if _, err := f.Write([]byte("{}\n")); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(f.name); err != nil || string(data) != "{\"to\n{}\n" {
		t.Errorf("file %q, %v", data, err)
	}
}

// Several commands at once, also on a directory that is new.
func TestKeysCommandsDoNotHinderEachOther(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			var out, said bytes.Buffer
			if err := Keys(t.Context(), "api", []string{"create", "-name", "n", "-admin", "-data-dir", dir}, nil, &out, &said); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s, err := store.Open(t.Context(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if keys, err := s.Keys(t.Context()); err != nil || len(keys) != 6 {
		t.Errorf("%d keys, %v, want 6", len(keys), err)
	}
}

func TestEmptyExpiryOfTheCommandIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if out, _, err := b.keys("create", "-name", "n", "-admin", "-expires="); err == nil || !strings.HasPrefix(err.Error(), "-expires: ") || out != "" {
		t.Errorf("made %q, %v", out, err)
	}
}
