package api

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"patchbay.dev/api/access"
	"patchbay.dev/shared/wire"
)

type auditLine struct {
	Event struct {
		Action, Outcome string
		Category, Type  []string
	}
	User   struct{ Name, ID string }
	Kibana struct {
		SpaceID string                    `json:"space_id"`
		Object  struct{ Type, ID string } `json:"saved_object"`
		Action  struct{ Execution struct{ UUID string } }
	}
	Error   struct{ Code, Message string }
	Client  struct{ IP string }
	Message string
	Time    time.Time `json:"@timestamp"`
}

// inShort is what the tests compare: who did what to what, and how it ended.
func (l auditLine) inShort() string {
	user := l.User.Name
	if user == "" {
		user = "nobody"
	}
	return strings.TrimSpace(strings.Join([]string{user, l.Event.Action, l.Event.Outcome, l.Kibana.SpaceID,
		l.Kibana.Object.Type + ":" + l.Kibana.Object.ID, l.Error.Code}, " "))
}

func auditLines(t *testing.T, data []byte) (lines []auditLine) {
	t.Helper()
	for text := range strings.Lines(string(data)) {
		var l auditLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if l.Time.IsZero() || l.Client.IP != "127.0.0.1" || l.Message == "" || len(l.Event.Category) != 1 || len(l.Event.Type) != 1 {
			t.Errorf("incomplete line %s", text)
		}
		lines = append(lines, l)
	}
	return lines
}

func TestAuditLogTellsWhoDidWhat(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	b := setupWith(t, options{audit: slog.NewJSONHandler(&log, &slog.HandlerOptions{ReplaceAttr: auditJSON})})
	key, credential := b.newKey(access.Privileges{Admin: true})
	admin := authorization("ApiKey " + credential.Encoded())
	reader := b.key(access.Privileges{Read: []string{"*"}})
	outcomes := make(chan wire.Reply, 3)
	b.work(".server-log", func(wire.Request, nats.Header) wire.Reply { return <-outcomes })
	const secret = "s3cret-of-jira"

	b.must(b.send("GET", "/api/actions/connectors", ""), http.StatusUnauthorized)
	b.must(b.send("GET", "/api/actions/connectors", "", authorization("ApiKey "+access.Credential{ID: key.ID, Secret: secret}.Encoded())), http.StatusUnauthorized)
	b.must(b.send("DELETE", "/s/ops/api/actions/connector/a", "", reader), http.StatusForbidden)
	b.must(b.send("GET", "/api/actions/connectors", "", reader), http.StatusOK)
	b.must(b.send("POST", "/api/actions/connector/a", serverLogBody, admin), http.StatusOK)
	b.must(b.send("POST", "/api/actions/connector/a", serverLogBody, admin), http.StatusConflict)
	b.must(b.send("POST", "/s/ops/api/actions/connector/j", strings.ReplaceAll(jiraBody, "s3cr3t-t0ken", secret), admin), http.StatusOK)
	b.must(b.send("PUT", "/api/actions/connector/a", `{"name":"n"}`, admin), http.StatusOK)
	outcomes <- wire.Reply{}
	outcomes <- wire.Reply{Failure: &wire.Failure{Message: "no", Retry: wire.RetryNever(), Source: wire.User}}
	outcomes <- wire.Reply{Failure: &wire.Failure{Message: "?", Retry: wire.RetryNever(), Source: wire.Framework, Unknown: true}}
	for range 3 {
		b.must(b.send("POST", "/api/actions/connector/a/_execute", executeLog, admin, header(headerExecutionID, "my-own")), http.StatusOK)
	}
	b.must(b.send("DELETE", "/api/actions/connector/a", "", admin), http.StatusNoContent)
	b.must(b.send("POST", "/api/security/api_key", `{"name":"n","privileges":{"read":["*"]}}`, admin), http.StatusOK)
	b.must(b.send("DELETE", "/api/security/api_key", `{"ids":["x","y"]}`, admin), http.StatusNotFound)

	var got []string
	lines := auditLines(t, log.Bytes())
	for _, l := range lines {
		got = append(got, l.inShort())
	}
	made := lines[len(lines)-2].Kibana.Object.ID
	want := []string{
		"nobody user_login failure default : Unauthorized",
		"nobody user_login failure default : Unauthorized",
		"test connector_delete failure ops action:a Forbidden",
		"test connector_create success default action:a",
		"test connector_create failure default action:a Conflict",
		"test connector_create success ops action:j",
		"test connector_update success default action:a",
		"test connector_execute success default action:a",
		"test connector_execute failure default action:a",
		"test connector_execute unknown default action:a",
		"test connector_delete success default action:a",
		"test api_key_create success default api_key:" + made,
		"test api_key_invalidate failure default api_key:x,y Not Found",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if l := lines[7]; l.Kibana.Action.Execution.UUID != "my-own" || l.User.ID != key.ID || len(made) != 20 {
		t.Errorf("line %+v", l)
	}
	for _, text := range []string{secret, credential.Secret, credential.Encoded()} {
		if strings.Contains(log.String(), text) {
			t.Errorf("the audit log shows a secret:\n%s", log.String())
		}
	}
}

func TestAuditFileFollowsItsName(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "audit.log")
	file, err := openAuditFile(name, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(file, &slog.HandlerOptions{ReplaceAttr: auditJSON}))
	log.Info("one")
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	file.looked = time.Time{}
	log.Info("two")
	log.Info("three")
	if err := file.close(); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string][]string{name + ".1": {"one"}, name: {"two", "three"}} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(data), "\n") != len(want) {
			t.Errorf("%s: %s, want %q", file, data, want)
		}
		for _, text := range want {
			if !strings.Contains(string(data), `"message":"`+text+`"`) {
				t.Errorf("%s: %s, want %q", file, data, want)
			}
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", file, info.Mode(), err)
		}
	}
}

func TestEventsThatAreLostAreSaidOnce(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	f, err := openAuditFile(filepath.Join(t.TempDir(), "audit.log"), slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.file.Close(); err != nil { // as good as a disk that is full
		t.Fatal(err)
	}
	for range 3 {
		if _, err := f.Write([]byte("x\n")); err == nil {
			t.Error("written to a closed file")
		}
	}
	if n := strings.Count(said.String(), "events are missing from the audit log"); n != 1 {
		t.Errorf("said %d times: %s", n, said.String())
	}
}

func TestAuditFileThatCannotBeIsNamed(t *testing.T) {
	t.Parallel()
	_, _, err := openAudit(&Config{AuditFile: filepath.Join(t.TempDir(), "no", "audit.log")}, slog.Default())
	if err == nil || !strings.HasPrefix(err.Error(), "PATCHBAY_AUDIT_FILE: ") {
		t.Errorf("error %v", err)
	}
}
