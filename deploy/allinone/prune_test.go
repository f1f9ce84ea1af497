package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchbay.dev/api/store"
	"patchbay.dev/shared/seal"
)

// running starts the all-in-one until the test ends and returns its URL.
func running(t *testing.T, dir string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stdout, line := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-http-addr=127.0.0.1:0", "-data-dir=" + dir}, nil, line, t.Output())
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
	n, _ := stdout.Read(first)
	found := startLine.FindStringSubmatch(string(first[:n]))
	if found == nil {
		t.Fatalf("line: %q, want %s", first[:n], startLine)
	}
	return found[1]
}

func post(t *testing.T, url, body string) string {
	t.Helper()
	response, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response.Status, string(answer), err)
	}
	return strings.TrimSpace(string(answer))
}

// sealKeys is a call of "allinone seal-keys" for a data directory.
func sealKeys(t *testing.T, dir, command string) (string, error) {
	t.Helper()
	var stdout bytes.Buffer
	err := run(t.Context(), []string{"seal-keys", command}, []string{"PATCHBAY_DATA_DIR=" + dir}, &stdout, io.Discard)
	return stdout.String(), err
}

func keysIn(t *testing.T, dir string) *seal.Ring {
	t.Helper()
	ring, err := seal.ReadRing(filepath.Join(dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestPruneIsRefusedUntilEverythingIsRotated(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	url := running(t, dir)
	post(t, url+"/s/ops/api/actions/connector/tickets", `{"name":"n","connector_type_id":".jira",
		"config":{"apiUrl":"https://jira.example.com","projectKey":"CK"},"secrets":{"email":"a@example.com","apiToken":"t0ken"}}`)
	post(t, url+"/api/actions/connector/log", `{"name":"n","connector_type_id":".server-log"}`)
	first := keysIn(t, dir).Public().ID()
	if _, err := sealKeys(t, dir, "add"); err != nil {
		t.Fatal(err)
	}
	_, err := sealKeys(t, dir, "prune")
	if err == nil || !strings.Contains(err.Error(), "connector tickets of the space ops is sealed to an older key: rotate first (POST /api/actions/_rotate_secrets)") {
		t.Errorf("prune before the rotation: %v, want a refusal", err)
	}
	if !keysIn(t, dir).Has(first) {
		t.Fatal("the refused prune removed a key")
	}
	if got := post(t, url+"/api/actions/_rotate_secrets", ""); got != `{"total":1,"successful":1,"failed":0}` {
		t.Errorf("rotation: %s", got)
	}
	pruned, err := sealKeys(t, dir, "prune")
	if err != nil || !strings.HasPrefix(pruned, "older keys removed: 1;") || !strings.Contains(pruned, "preconfigured") || keysIn(t, dir).Has(first) {
		t.Errorf("prune: %s, %v", pruned, err)
	}
}

// What no key here opens is not worse off without the older keys.
func TestPruneLooksAtTheKeysThatItRemoves(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := seal.ReadOrGenerate(filepath.Join(dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sealKeys(t, dir, "add"); err != nil {
		t.Fatal(err)
	}
	if _, err := sealKeys(t, dir, "prune"); err == nil || !strings.HasPrefix(err.Error(), "PATCHBAY_DATA_DIR: ") {
		t.Errorf("prune without a database to look into: %v, want a refusal", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("the directory has %v, %v, want the keys alone", left, err)
	}
	db, err := store.Open(t.Context(), dir, store.Options{MaxConnectors: 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	put := func(id string, ring *seal.Ring) {
		t.Helper()
		secrets := []byte("no blob")
		if ring != nil {
			if secrets, err = ring.Public().Seal([]byte("{}"), seal.Binding{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := db.Create(t.Context(), store.Connector{ID: id, Space: "ops", Type: ".jira", Name: "n", Config: json.RawMessage(`{}`), Secrets: secrets}); err != nil {
			t.Fatal(err)
		}
	}
	lost, err := seal.Generate()
	if err != nil {
		t.Fatal(err)
	}
	put("broken", nil)
	put("lost", lost)
	for n := range 100 { // more than are read at once
		put(fmt.Sprint("new-", n), keysIn(t, dir))
	}
	put("old", first)
	if _, err := sealKeys(t, dir, "prune"); err == nil || !strings.Contains(err.Error(), "connector old of") {
		t.Errorf("prune: %v, want a refusal that names the connector", err)
	}
	if err := db.Delete(t.Context(), "ops", "old"); err != nil {
		t.Fatal(err)
	}
	if pruned, err := sealKeys(t, dir, "prune"); err != nil || !strings.HasPrefix(pruned, "older keys removed: 1;") {
		t.Errorf("prune: %s, %v", pruned, err)
	}
}

func TestPruneIsRefusedWhileADeadLetterIsSealedToAnOlderKey(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	url := running(t, dir) + "/api/actions/"
	post(t, url+"connector/docs", `{"name":"n","connector_type_id":".index","config":{"index":"i"}}`)
	// There is no cluster, so that nobody can write it.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"connector/docs/_execute", strings.NewReader(`{"params":{"documents":[{}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Prefer", "respond-async, wait=30")
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("execute: %s, want that it ended", response.Status)
	}
	if _, err := sealKeys(t, dir, "add"); err != nil {
		t.Fatal(err)
	}
	if _, err := sealKeys(t, dir, "prune"); err == nil || !strings.Contains(err.Error(), "of the space default is sealed to an older key: rotate first") {
		t.Errorf("prune before the rotation: %v, want a refusal", err)
	}
	if got := post(t, url+"_rotate_secrets", ""); got != `{"total":1,"successful":1,"failed":0}` {
		t.Errorf("rotation: %s", got)
	}
	if pruned, err := sealKeys(t, dir, "prune"); err != nil || !strings.HasPrefix(pruned, "older keys removed: 1;") {
		t.Errorf("prune: %s, %v", pruned, err)
	}
}
