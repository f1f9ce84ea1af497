package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/api/ledger"
)

// send returns the answer to a request with headers.
func (r *running) send(t *testing.T, path, body string, edit func(*http.Request)) (status int, answer string) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	edit(request)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	var b strings.Builder
	if err := response.Write(&b); err != nil {
		return 0, err.Error()
	}
	_, answer, _ = strings.Cut(b.String(), "\r\n\r\n")
	return response.StatusCode, answer
}

// 202 means on disk: the next process runs it.
func TestRunRunsWhatAnEarlierOneAccepted(t *testing.T) {
	t.Parallel()
	broker, dir := startJetStream(t), t.TempDir()
	config := Config{DataDir: dir, ShutdownTimeout: 10 * time.Second}
	first := run(t, config, connect(t, broker))
	if status, body := first.call(t, "POST", "/api/actions/connector/a", serverLogBody); status != http.StatusOK {
		t.Fatal(status, body)
	}
	status, body := first.send(t, executeA, executeLog, edits(prefer("respond-async"), withKey("k")))
	if status != http.StatusAccepted {
		t.Fatal(status, body)
	}
	first.stop()
	if err := await(t, first.ended); err != nil {
		t.Fatal(err)
	}
	arrived, release := held(t, connect(t, broker))
	second := run(t, config, connect(t, broker))
	await(t, arrived)
	release()
	status, body = second.send(t, executeA, executeLog, withKey("k"))
	if want := `{"connector_id":"a","status":"ok"}`; status != http.StatusOK || body != want {
		t.Errorf("%d %s, want %s", status, body, want)
	}
	second.stop()
	if err := await(t, second.ended); err != nil {
		t.Error(err)
	}
}

func TestStopEndsWhoOnlyWaitsAndLetsTheQueueFinish(t *testing.T) {
	t.Parallel()
	broker, dir := startJetStream(t), t.TempDir()
	arrived, release := held(t, connect(t, broker))
	r := run(t, Config{DataDir: dir, ShutdownTimeout: 10 * time.Second}, connect(t, broker))
	if status, body := r.call(t, "POST", "/api/actions/connector/a", serverLogBody); status != http.StatusOK {
		t.Fatal(status, body)
	}
	type got struct {
		status int
		body   string
	}
	waiting, joined := make(chan got, 1), make(chan got, 1)
	execute := func(to chan got, edit func(*http.Request)) {
		status, body := r.send(t, executeA, executeLog, edit)
		to <- got{status, body}
	}
	under := edits(withKey("k"), header("Patchbay-Execution-Id", "e"))
	go execute(waiting, edits(under, prefer("respond-async, wait=10")))
	await(t, arrived)
	go execute(joined, withKey("k"))
	r.stop()
	if got := await(t, waiting); got.status != http.StatusAccepted || !strings.Contains(got.body, `"execution_id":"e"`) {
		t.Errorf("%+v", got)
	}
	if got := await(t, joined); got.status != http.StatusConflict && got.status != 0 { // or it came too late
		t.Errorf("%+v", got)
	}
	release() // what runs in the queue is waited for, and recorded
	if err := await(t, r.ended); err != nil {
		t.Error(err)
	}
	l, err := ledger.Open(t.Context(), dir, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if e, _, err := l.Get(t.Context(), "default", "e"); err != nil || e.State != ledger.Done || e.Outcome != "ok" {
		t.Errorf("%+v, %v", e, err)
	}
}

// The command is for keys alone: it may run beside the server.
func TestKeysCommandLeavesTheLedgerAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := Keys(t.Context(), "api", []string{"create", "-name", "n", "-admin"}, []string{"PATCHBAY_DATA_DIR=" + dir}, t.Output(), t.Output()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, ledger.FileName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it made a ledger: %v", err)
	}
}

// The disk may be full just when a running execution ends: its caller has his answer
// all the same, and it is recorded when there is room.
func TestFinisherGoesOnBehindTheAnswer(t *testing.T) {
	t.Parallel()
	room, recorded := make(chan struct{}), make(chan ledger.Ending, 1)
	f := &finisher{
		record: func(e ledger.Ending) error { <-room; recorded <- e; return nil },
		giveUp: func() {}, log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	f.end(ledger.Ending{Seq: 7}) // returns, after a while
	close(room)
	if e := await(t, recorded); e.Seq != 7 {
		t.Errorf("%+v", e)
	}
	f.close()
}

func TestFinisherGivesUpInTheEnd(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	f := &finisher{
		record: func(ledger.Ending) error { <-gone; return errors.New("no room") },
		giveUp: func() {
			select {
			case <-gone:
			default:
				close(gone)
			}
		},
		log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	f.end(ledger.Ending{})
	f.close()
}

func TestDurableExecutionsAreAudited(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	b := setupWith(t, options{audit: slog.NewJSONHandler(&log, &slog.HandlerOptions{ReplaceAttr: auditJSON})})
	b.create("a", serverLogBody)
	b.must(b.send("POST", executeA, executeLog, prefer("respond-async"), header("Patchbay-Execution-Id", "e")), http.StatusAccepted)
	b.sendLines(`{"id":"a","params":{"message":"m"},"key":"k"}` + "\n" + `{"id":"a","params":{"message":"m"},"key":"k"}` + "\n{}\n")
	b.must(b.send("DELETE", executionsPath+"/e", ""), http.StatusNoContent)
	b.must(b.send("POST", executionsPath+"/_replay", `{"dry_run":true}`), http.StatusOK)
	b.must(b.send("GET", executionsPath, ""), http.StatusOK) // reading is not written down
	var got []string
	for i, l := range auditLines(t, log.Bytes()) {
		var more struct{ Patchbay json.RawMessage }
		if err := json.Unmarshal(bytes.Split(log.Bytes(), []byte("\n"))[i], &more); err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.TrimSpace(l.inShort()+" "+string(more.Patchbay)))
	}
	want := []string{
		"nobody connector_create success default action:a",
		"nobody connector_execute unknown default action:a",
		`nobody connector_execute unknown default action: {"lines":{"queued":1,"known":1,"refused":1}}`,
		"nobody execution_discard success default execution:e",
		"nobody execution_replay success default execution:",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
