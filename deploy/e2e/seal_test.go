package e2e_test

import (
	"database/sql"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/mattn/go-sqlite3" // to write where only the api should

	"patchbay.dev/deploy/inprocess"
	"patchbay.dev/shared/seal"
	"patchbay.dev/worker/jira/jiratest"
)

// session runs all of Patchbay on a data directory while it is used.
func session(t *testing.T, dataDir string, use func(url string)) {
	t.Helper()
	base, stop := begin(t, dataDir, "-allowed-cidrs=127.0.0.0/8")
	use(base + "/api/actions/connector/")
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// Someone who can write to the database, but has no key, tries to have secrets
// sent to where he listens.
func TestDatabaseWriterCannotMoveSecrets(t *testing.T) {
	t.Parallel()
	good, evil := jiratest.Start(), jiratest.Start()
	t.Cleanup(good.Close)
	t.Cleanup(evil.Close)
	dir := filepath.Join(t.TempDir(), "data")
	session(t, dir, func(url string) {
		for id, body := range map[string]string{
			"good": `{"name":"n","connector_type_id":".jira","config":{"apiUrl":"` + good.URL() + `","projectKey":"CK"},
				"secrets":{"email":"patchbay@example.com","apiToken":"jira-token-1234"}}`,
			"evil": `{"name":"n","connector_type_id":".jira","config":{"apiUrl":"` + evil.URL() + `","projectKey":"CK"},
				"secrets":{"email":"his","apiToken":"own"}}`,
		} {
			if status, answer, err := postJSON(url+id, body); err != nil || status != http.StatusOK {
				t.Fatal(status, answer, err)
			}
		}
	})
	db, err := sql.Open("sqlite3", filepath.Join(dir, "patchbay.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for name, statement := range map[string]string{
		"the blob of another connector": `UPDATE connector SET secrets = (SELECT secrets FROM connector WHERE id = 'good') WHERE id = 'evil'`,
		"another config":                `UPDATE connector SET config = replace(config, '` + good.URL() + `', '` + evil.URL() + `') WHERE id = 'good'`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	session(t, dir, func(url string) {
		for _, id := range []string{"good", "evil"} {
			status, answer, err := postJSON(url+id+"/_execute", `{"params":{"subAction":"issueTypes","subActionParams":{}}}`)
			if err != nil || status != http.StatusOK || !strings.Contains(answer, "the secrets do not belong to this connector as it stands") {
				t.Errorf("execute %s: %d %s %v, want its secrets refused", id, status, answer, err)
			}
			// It can still be read and put right.
			response, err := http.Get(url + id)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("get %s: %s", id, response.Status)
			}
		}
	})
	if n := len(good.Requests()) + len(evil.Requests()); n > 0 {
		t.Errorf("%d requests were sent, want none", n)
	}
}

func TestKeyOfTheAllInOneIsItsOwners(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	session(t, dir, func(string) {})
	key := filepath.Join(dir, "seal.key")
	info, err := os.Stat(key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key: %v, %v, want mode 0600", info, err)
	}
	before, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	session(t, dir, func(string) {})
	if after, err := os.ReadFile(key); err != nil || string(after) != string(before) {
		t.Errorf("the next start changed the key: %v", err)
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	err = inprocess.Run(t.Context(), configure(t, dir), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "PATCHBAY_SEAL_KEY_FILE: ") || !strings.Contains(err.Error(), "others can read it") {
		t.Errorf("start with a key that others can read: %v, want a refusal", err)
	}
}

// A worker without the key of a blob says which one it lacks; everything but
// executing goes on, and an update with fresh secrets repairs the connector.
func TestConnectorsOutliveTheirKey(t *testing.T) {
	t.Parallel()
	tickets := jiratest.Start()
	t.Cleanup(tickets.Close)
	dir := filepath.Join(t.TempDir(), "data")
	const execution = `{"params":{"subAction":"issueTypes","subActionParams":{}}}`
	config := `"name":"n","config":{"apiUrl":"` + tickets.URL() + `","projectKey":"CK"},
		"secrets":{"email":"patchbay@example.com","apiToken":"jira-token-1234"}`
	session(t, dir, func(url string) {
		for _, id := range []string{"a", "b"} {
			if status, answer, err := postJSON(url+id, `{"connector_type_id":".jira",`+config+`}`); err != nil || status != http.StatusOK {
				t.Fatal(status, answer, err)
			}
		}
	})
	lost, err := seal.ReadRing(filepath.Join(dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "seal.key")); err != nil {
		t.Fatal(err)
	}
	call := func(method, url, body string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	session(t, dir, func(url string) {
		_, answer, err := postJSON(url+"a/_execute", execution)
		if err != nil || !strings.Contains(answer, "sealed to the key "+lost.Public().ID().String()) {
			t.Errorf("execute: %s %v, want an error that names %s", answer, err, lost.Public().ID())
		}
		if got := call("GET", strings.TrimSuffix(url, "/")+"s", ""); got != http.StatusOK {
			t.Errorf("list: %d", got)
		}
		if got := call("GET", url+"a", ""); got != http.StatusOK {
			t.Errorf("get: %d", got)
		}
		if got := call("DELETE", url+"b", ""); got != http.StatusNoContent {
			t.Errorf("delete: %d", got)
		}
		if got := call("PUT", url+"a", "{"+config+"}"); got != http.StatusOK {
			t.Errorf("update: %d", got)
		}
		if _, answer, err := postJSON(url+"a/_execute", execution); err != nil || !strings.Contains(answer, `"status":"ok"`) {
			t.Errorf("execute after the update: %s %v, want success", answer, err)
		}
	})
}
