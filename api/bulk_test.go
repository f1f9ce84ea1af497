package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/api/access"
	"patchbay.dev/api/ledger"
	"patchbay.dev/api/queue"
	"patchbay.dev/shared/wire"
)

const bulkPath = "/api/actions/_bulk_execute"

// result is a line of an answer.
type result struct {
	Line        int        `json:"line"`
	ExecutionID string     `json:"execution_id"`
	ConnectorID string     `json:"connector_id"`
	Status      string     `json:"status"`
	Known       bool       `json:"known"`
	Error       *errorBody `json:"error"`
	RetryAfter  int        `json:"retry_after"`
}

func results(t *testing.T, got answer) []result {
	t.Helper()
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%d %v: %s", got.status, got.header, got.body)
	}
	var all []result
	if err := json.Unmarshal([]byte(inLines(got.body)), &all); err != nil {
		t.Fatalf("%v in %s", err, got.body)
	}
	return all
}

func TestBulkQueuesOrRefusesEachLineOnItsOwn(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{maxBody: 4096, preconfigured: oneServerLog})
	b.create("a", serverLogBody)
	b.must(b.send("POST", "/s/ops/api/actions/connector/other", serverLogBody), http.StatusOK)
	long := strings.Repeat("x", 4096)
	lines := []string{
		`{"id":"a","params":{"message":"1"}}`,
		``, // blank: skipped
		`{"id":"none","params":{"message":"3"}}`,
		`{"id":"a","params":{"message":"4"},"key":"k"}`,
		`{"id":"a","params":{"message":"4"},"key":"k"}` + "\r",
		`{"id":"a","params":{"message":"6"},"key":"k"}`,
		`{"id":"a"`,
		"  ",
		`{"id":"a","params":{}}`,
		`{"id":"a","params":{"message":"` + long + `"}}`,
		`{"id":"a","params":{"message":"11"},"key":""}`,
		`{"id":"a","params":{"message":"12"},"foo":1}`,
		`{"id":"other","params":{"message":"13"}}`, // of another space
		` {"id":"log","params":{"message":"14"}} `,
		`{"params":{}}`,
		"\xff",
		`{"id":"a","params":{"message":"17"}}`, // without its newline
	}
	refused := func(line int, id string, status int, message string) result {
		return result{Line: line, ConnectorID: id, Status: "refused", Error: &errorBody{status, http.StatusText(status), message}}
	}
	want := []result{
		{Line: 1, ConnectorID: "a", Status: "queued"},
		refused(3, "none", 404, "Saved object [action/none] not found"),
		{Line: 4, ConnectorID: "a", Status: "queued"},
		{Line: 5, ConnectorID: "a", Status: "queued", Known: true},
		refused(6, "a", 422, "The Idempotency-Key was used for this connector with other params, or by a caller with another reach. Nothing was run."),
		refused(7, "", 400, "Invalid request payload JSON format: unexpected end of JSON input (byte 9)"),
		refused(9, "a", 400, "error validating action params: [message]: expected value of type [string] but got [undefined]"),
		refused(10, "", 413, "The line is longer than the maximum allowed: 4096"),
		refused(11, "a", 400, "[request body.key]: 1 to 255 printable ASCII characters are expected"),
		refused(12, "a", 400, "[request body.foo]: definition for this key is missing"),
		refused(13, "other", 404, "Saved object [action/other] not found"),
		{Line: 14, ConnectorID: "log", Status: "queued"},
		refused(15, "", 400, "[request body.id]: expected value of type [string] but got [undefined]"),
		refused(16, "", 400, ""),
		{Line: 17, ConnectorID: "a", Status: "queued"},
	}
	got := results(t, b.sendLines(strings.Join(lines, "\n"), header("traceparent", parent)))
	ids := map[string]bool{}
	for i := range got {
		if id := got[i].ExecutionID; id != "" {
			ids[id] = true
			e, _, err := b.server.ledger.Get(t.Context(), "default", id)
			if err != nil || e.TraceID == "" || !e.Durable {
				t.Errorf("line %d: %+v, %v", got[i].Line, e, err)
			}
			got[i].ExecutionID = ""
		}
		if e := got[i].Error; e != nil && got[i].Line == 16 && strings.HasPrefix(e.Message, "Invalid request payload JSON format: ") {
			e.Message = ""
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if len(ids) != 4 {
		t.Errorf("%d executions, want 4: a known one is the one from before", len(ids))
	}
}

func TestBulkOfNothingIsAnAnswerOfNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, lines := range []string{"", "\n", "\r\n \n"} {
		for _, expect := range []string{"", "100-continue"} {
			got := b.must(b.sendLines(lines, header("Expect", expect)), http.StatusOK)
			if got.body != "" || got.header.Get("Content-Type") != "application/x-ndjson" {
				t.Errorf("%q: %q %v", lines, got.body, got.header)
			}
		}
	}
	b.wantError(b.sendLines("{}", header("Content-Type", "text/csv")), http.StatusUnsupportedMediaType,
		`Unsupported Media Type: send the header Content-Type: application/x-ndjson; it is "text/csv"`)
}

func TestBulkLinesAreRefusedWhereTheQueueIsFull(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{maxQueued: 3, perConnector: 2})
	b.create("a", serverLogBody)
	b.create("b", serverLogBody)
	line := func(id string) string { return `{"id":"` + id + `","params":{"message":"m"}}` + "\n" }
	var statuses []string
	for _, r := range results(t, b.sendLines(strings.Repeat(line("a"), 3)+strings.Repeat(line("b"), 2))) {
		status := r.Status
		if r.Error != nil {
			status = fmt.Sprintf("%d after %t: %s", r.Error.StatusCode, r.RetryAfter > 0, r.Error.Message)
		}
		statuses = append(statuses, status)
	}
	want := []string{
		"queued", "queued", "429 after true: There are as many executions of this connector queued as there may be. Nothing was run.",
		"queued", "429 after true: There are as many executions queued as there may be. Nothing was run.",
	}
	if diff := cmp.Diff(want, statuses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// stream is a bulk request whose lines are written as the test likes.
type stream struct {
	*io.PipeWriter
	answers *bufio.Reader
	close   func()
}

func (b *bundle) stream(edits ...func(*http.Request)) *stream {
	b.Helper()
	r, w := io.Pipe()
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, b.url+bulkPath, r)
	if err != nil {
		b.Fatal(err)
	}
	ndjson(request)
	for _, edit := range edits {
		edit(request)
	}
	response, err := new(http.Transport).RoundTrip(request)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { w.Close(); response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		b.Fatal(response.Status)
	}
	return &stream{w, bufio.NewReader(response.Body), func() { response.Body.Close() }}
}

func (s *stream) line(t *testing.T) (r result, err error) {
	t.Helper()
	line, err := s.answers.ReadBytes('\n')
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(line, &r)
}

func TestBulkAnswersWhileLinesAreStillComing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	s := b.stream()
	for n := 1; n <= 3; n++ {
		if _, err := io.WriteString(s, `{"id":"a","params":{"message":"m"}}`+"\n"); err != nil {
			t.Fatal(err)
		}
		got, err := s.line(t)
		got.ExecutionID = ""
		if want := (result{Line: n, ConnectorID: "a", Status: "queued"}); err != nil || got != want {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	s.Close()
	if got, err := s.line(t); !errors.Is(err, io.EOF) {
		t.Errorf("%+v, %v after the last line", got, err)
	}
}

// The whole of it would be some 55 MiB in and 14 MiB out.
func TestBulkOfManyLinesTakesLittleMemory(t *testing.T) { //nolint:paralleltest // others would take memory too
	const lines = 100_000
	b := setup(t)
	b.create("a", serverLogBody)
	peak := watchHeap(t)
	s := b.stream()
	sent, filling := make(chan error, 1), strings.Repeat("x", 500)
	go func() {
		defer s.Close()
		w := bufio.NewWriterSize(s, 32<<10)
		for n := range lines {
			if _, err := fmt.Fprintf(w, `{"id":"a","params":{"message":"%d %s"},"key":"%d"}`+"\n", n, filling, n); err != nil {
				sent <- err
				return
			}
		}
		sent <- w.Flush()
	}()
	for n := 1; n <= lines; n++ {
		if got, err := s.line(t); err != nil || got.Line != n || got.Status != "queued" || got.Known {
			t.Fatalf("%d: %+v, %v", n, got, err)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if got := b.server.ledger.Stats().Queued; got != lines {
		t.Errorf("%d are queued", got)
	}
	grown := peak()
	t.Logf("the heap grew by %d MiB", grown>>20)
	if grown > 32<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

// watchHeap measures by how much the heap in use grows at most until peak is called.
func watchHeap(t *testing.T) (peak func() uint64) {
	t.Helper()
	before := debug.SetGCPercent(20) // so that what is garbage counts little
	t.Cleanup(func() { debug.SetGCPercent(before) })
	runtime.GC()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	least, most := heap(), uint64(0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				most = max(most, heap())
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-stopped
		return max(most, least) - least
	}
}

// Who asks first whether to send is told to.
func TestBulkTellsWhoAsksToGoOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: 10 * time.Second}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+bulkPath, strings.NewReader(`{"id":"a","params":{"message":"m"}}`))
	if err != nil {
		t.Fatal(err)
	}
	ndjson(request)
	request.Header.Set("Expect", "100-continue")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(body), `"status":"queued"`) {
		t.Errorf("%s, %v", body, err)
	}
}

func TestBulkMayBeReadAtTheEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	const lines = 3000
	all := strings.Repeat(`{"id":"a","params":{"message":"m"}}`+"\n", lines)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", bulkPath, len(all), all); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if n := bytes.Count(body, []byte("\n")); err != nil || n != lines {
		t.Errorf("%d lines, %v", n, err)
	}
	// The connection is as good as before.
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if response, err = http.ReadResponse(reader, nil); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("the next request: %v", err)
	}
}

func TestBulkOverHTTP2(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, 0)
	r := run(t, withTLS(t, newPair(t, 1)), connect(t, broker))
	client := http2Client(t)
	if status, body := ask(t, client, "POST", r.url+"/api/actions/connector/a", strings.NewReader(serverLogBody)); status != http.StatusOK {
		t.Fatal(status, body)
	}
	lines, w := io.Pipe()
	const number = 1000
	go func() {
		defer w.Close()
		for range number {
			if _, err := io.WriteString(w, `{"id":"a","params":{"message":"m"}}`+"\n"); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	status, body := ask(t, client, "POST", r.url+bulkPath, lines, ndjson)
	if n := strings.Count(body, `"status":"queued"`); status != http.StatusOK || n != number {
		t.Errorf("%d with %d lines", status, n)
	}
}

func TestBulkLineThatDoesNotComeInTimeEndsIt(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{config: func(c *Config) { c.ReadTimeout = 300 * time.Millisecond }})
	b.create("a", serverLogBody)
	s := b.stream()
	if _, err := io.WriteString(s, `{"id":"a","params":{"message":"m"}}`+"\n"+`{"id":"a"`); err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		r, err := s.line(t)
		if err != nil {
			break
		}
		got = append(got, r.Status)
		if r.Error != nil && r.Error.Message != "The line did not arrive within 300ms." {
			t.Errorf("%+v", r.Error)
		}
	}
	if diff := cmp.Diff([]string{"queued", "refused"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Lines that come now and then move the time on in which the next must come.
func TestBulkMayLastLongerThanABody(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{config: func(c *Config) { c.ReadTimeout, c.WriteTimeout = time.Second, time.Second }})
	b.create("a", serverLogBody)
	s := b.stream()
	for began := time.Now(); time.Since(began) < 1500*time.Millisecond; {
		if _, err := io.WriteString(s, `{"id":"a","params":{"message":"m"}}`+"\n"); err != nil {
			t.Fatal(err)
		}
		if r, err := s.line(t); err != nil || r.Status != "queued" {
			t.Fatalf("after %s: %+v, %v", time.Since(began), r, err)
		}
	}
}

func TestBulkEndsWhenTheServerStops(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	s := b.stream()
	if _, err := io.WriteString(s, `{"id":"a","params":{"message":"m"}}`+"\n"); err != nil {
		t.Fatal(err)
	}
	if r, err := s.line(t); err != nil || r.Status != "queued" {
		t.Fatalf("%+v, %v", r, err)
	}
	close(b.server.stopping)
	got, err := s.line(t)
	want := result{Line: 2, Status: "refused", RetryAfter: 1, Error: &errorBody{
		503, "Service Unavailable", "The api is stopping. This line and those after it were not read.",
	}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := s.line(t); err == nil {
		t.Error("it goes on")
	}
}

func TestBulkEndsWhenTheKeyIsRevoked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	admin := b.key(access.Privileges{Admin: true})
	b.must(b.send("POST", "/api/actions/connector/a", serverLogBody, admin), http.StatusOK)
	key, credential := b.newKey(access.Privileges{Read: []string{"*"}})
	s := b.stream(authorization("ApiKey " + credential.Encoded()))
	line := `{"id":"a","params":{"message":"m"}}` + "\n"
	if _, err := io.WriteString(s, line); err != nil {
		t.Fatal(err)
	}
	if r, err := s.line(t); err != nil || r.Status != "queued" {
		t.Fatalf("%+v, %v", r, err)
	}
	b.must(b.send("DELETE", "/api/security/api_key", `{"ids":["`+key.ID+`"]}`, admin), http.StatusOK)
	if _, err := io.WriteString(s, line); err != nil {
		t.Fatal(err)
	}
	if r, err := s.line(t); err != nil || r.Error == nil || r.Error.StatusCode != http.StatusUnauthorized {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := s.line(t); err == nil {
		t.Error("it goes on")
	}
}

// One that sends and reads nothing, or leaves, holds nothing for ever.
func TestBulkThatIsLeftGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{maxInFlight: 1})
	b.create("a", serverLogBody)
	s := b.stream()
	if _, err := io.WriteString(s, `{"id":"a","params":{"message":"m"}}`+"\n"+`{"id":`); err != nil {
		t.Fatal(err)
	}
	b.must(b.sendLines(""), http.StatusTooManyRequests)
	s.CloseWithError(errors.New("gone"))
	s.close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		a := b.server.admission
		a.mu.Lock()
		all := a.all
		a.mu.Unlock()
		if all == (load{}) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v in flight", all)
		}
	}
}

func TestBulkLineThatFindsNoMemoryIsRefused(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{maxBody: 6 << 20, inFlightBytes: 6 << 20})
	b.create("a", serverLogBody)
	line := func(size int) string {
		return `{"id":"a","params":{"message":"` + strings.Repeat("x", size) + `"}}` + "\n"
	}
	got := results(t, b.sendLines(line(3<<20)+line(5<<20)+line(10)))
	var statuses []string
	for _, r := range got {
		statuses = append(statuses, either(fmt.Sprint(r.Error), "<nil>")[:5]+r.Status)
	}
	if diff := cmp.Diff([]string{"<nil>queued", "&{429refused", "<nil>queued"}, statuses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if a := b.server.admission; a.all.bytes != 0 && a.all.calls == 0 {
		t.Errorf("left: %+v", a.all)
	}
}

func TestBrokerLinesAreSubmittedOrRefused(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{perConnector: 3})
	b.create("a", serverLogBody)
	const line = `{"id":"a","params":{"message":"m"}}`
	errs := b.server.submitLines(t.Context(), "default", []queue.Line{
		{ID: "1", Body: []byte(line), Traceparent: parent},
		{ID: "1", Body: []byte(line)},
		{ID: "3", Key: "k", Body: []byte(line)},
		{ID: "4", Key: "other", Body: []byte(`{"id":"a","params":{"message":"m"},"key":"k"}`)},
		{ID: "5", Key: "k", Body: []byte(`{"id":"a","params":{"message":"x"}}`)},
		{ID: "6", Body: []byte(`{"id":"none","params":{}}`)},
		{ID: "7", Body: []byte(`{`)},
		{ID: "8", Key: "é", Body: []byte(line)},
		{ID: "9", Body: []byte(line)},
		{ID: "10", Body: []byte(line)},
	})
	var got []string
	for _, err := range errs {
		refused, _ := errors.AsType[*queue.Refused](err)
		got = append(got, fmt.Sprint(refused != nil, " ", err))
	}
	want := []string{
		"false <nil>", "false " + ledger.ErrExists.Error(), "false <nil>", "false <nil>", "false " + ledger.ErrKeyReused.Error(),
		"true Saved object [action/none] not found", "true Invalid request payload JSON format: unexpected end of JSON input (byte 1)",
		"true [headers.idempotency-key]: 1 to 255 printable ASCII characters are expected", "false <nil>", "false " + ledger.ErrConnectorFull.Error(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if errs := b.server.submitLines(t.Context(), "No Space", []queue.Line{{Body: []byte(line)}}); errs[0] == nil {
		t.Error("a space that cannot be was taken")
	}
}

// The log names the key of a line that was refused.
func TestBrokerLineTellsItsKeyHoweverItEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	lines := []queue.Line{
		{ID: "1", Key: "h", Body: []byte(`{"id":"a","params":{"message":"m"},"key":"k1"}`)},
		{ID: "2", Key: "h", Body: []byte(`{"id":"a","params":{"message":"other"},"key":"k1"}`)}, // reused
		{ID: "3", Body: []byte(`{"id":"none","params":{},"key":"k3"}`)},
		{ID: "4", Body: []byte(`{"id":"a","params":{"no":"message"},"key":"k4"}`)},
		{ID: "5", Key: "h", Body: []byte(`{"id":"a","params":{"message":"m"},"key":"é"}`)},
		{ID: "6", Key: "h", Body: []byte(`{`)},
		{ID: "7", Body: []byte(`{`)},
	}
	b.server.submitLines(t.Context(), "default", lines)
	var got []string
	for _, l := range lines {
		got = append(got, l.Key)
	}
	if diff := cmp.Diff([]string{"k1", "k1", "k3", "k4", "h", "h", ""}, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

// From the broker to a worker.
func TestWhatIsPublishedIsRun(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{queue: true})
	b.must(b.send("POST", "/s/ops/api/actions/connector/a", serverLogBody), http.StatusOK)
	ran := make(chan wire.Request, 1)
	b.counted(".server-log", func(_ int, r wire.Request) wire.Reply { ran <- r; return wire.Reply{} })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for ctx.Err() == nil { // until the stream is there
		if _, err := b.workers.RequestWithContext(ctx, "patchbay.v1.submit.ops", []byte(`{"id":"a","params":{"message":"m"},"key":"k"}`)); err == nil {
			break
		}
	}
	r := await(t, ran)
	if r.Space != "ops" || string(r.Params) != `{"message":"m"}` || r.Attempt != 1 {
		t.Errorf("%+v", r)
	}
	if e := b.ended("ops", r.ExecutionID); e.Key != "k" || e.State != ledger.Done {
		t.Errorf("%+v", e)
	}
}

// Who waits for the answer to his first line must not wait for the end of a stream
// that he has not ended.
func TestBulkIsRefusedWhileLinesAreStillComing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	b.key(access.Privileges{Read: []string{"*"}}) // from now on one is asked for
	r, w := io.Pipe()
	defer w.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+bulkPath, r)
	if err != nil {
		t.Fatal(err)
	}
	ndjson(request)
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %s, want 401", response.Status)
	}
}
