package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"patchbay.dev/api/access"
	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/wire"
)

const executionsPath = "/api/actions/executions"

// page is what a list answers, as far as tests look.
type page struct {
	Executions []struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	} `json:"executions"`
	NextPage string `json:"next_page"`
}

// executions returns the ids of those that a query selects, in order, and the next page.
func (b *bundle) executions(space, query string) (ids []string, next string) {
	b.Helper()
	if err := b.server.ledger.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	var p page
	got := b.must(b.send("GET", space+executionsPath+query, ""), http.StatusOK)
	if err := json.Unmarshal([]byte(got.body), &p); err != nil {
		b.Fatal(err)
	}
	for _, e := range p.Executions {
		ids = append(ids, e.ID)
	}
	return ids, p.NextPage
}

// some fills a server with executions of every kind; their ids tell what they are.
func some(t *testing.T, b *bundle) {
	t.Helper()
	b.create("a", serverLogBody)
	b.create("i", `{"name":"Index of things","connector_type_id":".index","config":{"index":"x"}}`)
	b.must(b.send("POST", "/s/ops/api/actions/connector/o", serverLogBody), http.StatusOK)
	b.work(".server-log", func(r wire.Request, _ nats.Header) wire.Reply {
		switch {
		case strings.HasPrefix(r.ExecutionID, "bad"):
			return wire.Reply{Failure: &wire.Failure{Message: "Refused it", ServiceMessage: "by itself", Source: wire.User, Retry: wire.RetryNever()}, Worker: "w"}
		case strings.HasPrefix(r.ExecutionID, "lost"):
			return wire.Reply{Failure: &wire.Failure{Message: "lost", Source: wire.Framework, Unknown: true}}
		}
		return wire.Reply{Data: []byte(`{"n":1}`), Worker: "w", RunMicros: 1}
	})
	for _, each := range []struct{ id, space, connector, prefer string }{
		{"good", "", "a", ""}, {"bad", "", "a", ""}, {"lost", "", "a", ""}, {"other", "/s/ops", "o", ""},
		{"good-later", "", "a", "respond-async, wait=10"}, {"bad-later", "", "a", "respond-async, wait=10"},
	} {
		b.must(b.send("POST", each.space+"/api/actions/connector/"+each.connector+"/_execute", executeLog,
			header("Patchbay-Execution-Id", each.id), prefer(either(each.prefer, "handling=lenient"))), http.StatusOK)
	}
}

// someMore stops the queue and adds one to it.
func someMore(t *testing.T, b *bundle) {
	t.Helper()
	some(t, b)
	b.stopQueue()
	b.must(b.send("POST", "/api/actions/connector/i/_execute", `{"params":{"documents":[{}]}}`,
		header("Patchbay-Execution-Id", "waits"), prefer("respond-async")), http.StatusAccepted)
}

func TestExecutionsAreListedByWhatTheyAre(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{queue: true})
	start := time.Now()
	someMore(t, b)
	all := "waits bad-later good-later lost bad good"
	at := func(t time.Time) string { return url.QueryEscape(t.Format(time.RFC3339Nano)) }
	for query, want := range map[string]string{
		"":                          all,
		"?connector_id=i":           "waits",
		"?connector_id=none":        "",
		"?connector_type_id=.index": "waits",
		"?connector_type_id=.index&connector_type_id=.server-log": all,
		"?status=done":                           "good-later lost bad good",
		"?status=dead":                           "bad-later",
		"?status=queued&status=dead":             "waits bad-later",
		"?outcome=ok":                            "good-later good",
		"?outcome=error&outcome=unknown":         "bad-later lost bad",
		"?error_class=refused":                   "bad-later",
		"?durable=true":                          "waits bad-later good-later",
		"?durable=false":                         "lost bad good",
		"?text=BY+ITSELF":                        "bad-later bad",
		"?text=of+things":                        "waits",
		"?text=100%25":                           "",
		"?from=" + at(start):                     all,
		"?to=" + at(start):                       "",
		"?from=" + at(time.Now().Add(time.Hour)): "",
		"?sort_order=asc":                        "good bad lost good-later bad-later waits",
		"?outcome=error&sort_field=created_at&sort_order=asc": "bad bad-later",
	} {
		ids, next := b.executions("", query)
		if got := strings.Join(ids, " "); got != want || next != "" {
			t.Errorf("%s: %s, want %s; next page %q", query, got, want, next)
		}
	}
	if ids, _ := b.executions("/s/ops", ""); !cmp.Equal(ids, []string{"other"}) {
		t.Errorf("in the space ops: %v", ids)
	}
}

func TestExecutionsComeInPages(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{queue: true})
	someMore(t, b)
	for _, order := range []string{"sort_field=created_at", "sort_field=duration&sort_order=asc", "sort_field=queue"} {
		whole, _ := b.executions("", "?"+order)
		var got []string
		next := ""
		for pages := 0; pages == 0 || next != ""; pages++ {
			if pages > 6 {
				t.Fatal("pages do not end")
			}
			query := "?per_page=2&" + order
			if next != "" {
				query += "&page=" + url.QueryEscape(next)
			}
			var ids []string
			ids, next = b.executions("", query)
			got = append(got, ids...)
		}
		if diff := cmp.Diff(whole, got); diff != "" || len(got) != 6 {
			t.Errorf("%s (-whole +pages):\n%s", order, diff)
		}
	}
	_, next := b.executions("", "?per_page=2&sort_field=queue")
	for _, query := range []string{"?page=x", "?per_page=2&sort_field=duration&page=" + url.QueryEscape(next)} {
		b.wantError(b.send("GET", executionsPath+query, ""), http.StatusBadRequest,
			"[request query.page]: it is not the page of a list that is sorted like this one")
	}
}

func TestExecutionQueriesAreChecked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for query, want := range map[string]string{
		"?foo=1":                   "[request query.foo]: definition for this key is missing",
		"?per_page=0":              "[request query.per_page]: a whole number from 1 to 1000 is expected",
		"?per_page=1001":           "[request query.per_page]: a whole number from 1 to 1000 is expected",
		"?per_page=x":              "[request query.per_page]: a whole number from 1 to 1000 is expected",
		"?from=yesterday":          "[request query.from]: a time like 2026-01-02T03:04:05Z is expected",
		"?connector_id=":           "[request query.connector_id]: it is empty; leave it out for all connectors",
		"?to=0001-01-01T00:00:00Z": "[request query.to]: a time like 2026-01-02T03:04:05Z is expected",
		"?durable=maybe":           "[request query.durable]: expected value of type [boolean] but got [string]",
		"?sort_order=up":           "[request query.sort_order]: types that failed validation:\n- [request query.sort_order.0]: expected value to equal [asc]\n- [request query.sort_order.1]: expected value to equal [desc]",
		"?page=a&page=b":           "[request query.page]: expected value of type [string] but got [Array]",
	} {
		b.wantError(b.sendBad("GET", executionsPath+query, ""), http.StatusBadRequest, want)
	}
}

// blurred takes out of an answer what is another each time.
func blurred(t *testing.T, body string) any {
	t.Helper()
	v := decoded(t, body)
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				if strings.HasSuffix(key, "_at") || key == "queue_ms" || key == "dispatch_ms" {
					v[key] = "…"
					continue
				}
				walk(value)
			}
		case []any:
			for _, each := range v {
				walk(each)
			}
		}
	}
	walk(v)
	return v
}

func TestExecutionIsToldWithItsAttemptsAndItsAnswer(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{queue: true})
	someMore(t, b)
	if err := b.server.ledger.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	const good = `"connector_id":"a","connector_name":"Log","connector_type_id":".server-log","created_at":"…","params_bytes":19`
	attempt := func(more string) string {
		return `{"number":1,"last":true,"started_at":"…","ended_at":"…","queue_ms":"…","dispatch_ms":"…",` + more + `}`
	}
	okAttempt := attempt(`"run_ms":0.001,"outcome":"ok","worker":"w"`)
	badAttempt := attempt(`"run_ms":0,"outcome":"error","message":"Refused it","service_message":"by itself","retry":false,"error_source":"user","worker":"w"`)
	badResult := `{"connector_id":"a","status":"error","message":"Refused it","service_message":"by itself","retry":false,"errorSource":"user"}`
	for id, want := range map[string]string{
		"good": `{"id":"good",` + good + `,"durable":false,"status":"done","outcome":"ok","ended_at":"…","max_attempts":1,"replayable":false,
			"last_attempt":` + okAttempt + `,"attempts":[` + okAttempt + `],"result":{"connector_id":"a","status":"ok"}}`,
		"good-later": `{"id":"good-later",` + good + `,"durable":true,"status":"done","outcome":"ok","ended_at":"…","max_attempts":3,"replayable":false,
			"last_attempt":` + okAttempt + `,"attempts":[` + okAttempt + `],"result":{"connector_id":"a","status":"ok","data":{"n":1}}}`,
		"bad-later": `{"id":"bad-later",` + good + `,"durable":true,"status":"dead","error_class":"refused","outcome":"error","ended_at":"…","max_attempts":3,"replayable":true,
			"last_attempt":` + badAttempt + `,"attempts":[` + badAttempt + `],"result":` + badResult + `}`,
		"waits": `{"id":"waits","connector_id":"i","connector_name":"Index of things","connector_type_id":".index","created_at":"…","due_at":"…","params_bytes":18,
			"durable":true,"status":"queued","max_attempts":3,"replayable":false,"attempts":[]}`,
	} {
		got := b.must(b.send("GET", executionsPath+"/"+id, ""), http.StatusOK)
		if diff := cmp.Diff(decoded(t, want), blurred(t, got.body)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
	for _, path := range []string{executionsPath + "/none", executionsPath + "/other", "/s/ops" + executionsPath + "/good"} {
		b.wantError(b.send("GET", path, ""), http.StatusNotFound, "There is no such execution in this space.")
	}
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{queue: true})
	some(t, b)
	taken, release := b.held(".index")
	running := b.accepted(b.send("POST", "/api/actions/connector/i/_execute", `{"params":{"documents":[{}]}}`, prefer("respond-async")), "").ExecutionID
	await(t, taken)
	got := b.send("DELETE", executionsPath+"/"+running, "")
	b.wantError(got, http.StatusConflict, "The execution is running. What runs cannot be discarded.")
	close(release)
	b.ended("default", running)

	b.stopQueue()
	b.create("q", `{"name":"Q","connector_type_id":".jira","config":{"apiUrl":"https://h","projectKey":"K"},"secrets":{"email":"e","apiToken":"t"}}`)
	queued := b.accepted(b.send("POST", "/api/actions/connector/q/_execute", `{"params":{"subAction":"issueTypes","subActionParams":{}}}`, prefer("respond-async")), "").ExecutionID
	for _, test := range []struct{ id, status, outcome string }{
		{queued, "done", "cancelled"}, {"bad-later", "done", "error"}, {"good-later", "done", "ok"},
	} {
		for range 2 { // again it changes nothing
			if got := b.send("DELETE", executionsPath+"/"+test.id, ""); got.status != http.StatusNoContent || got.body != "" {
				t.Errorf("%s: %d %s", test.id, got.status, got.body)
			}
		}
		got := b.must(b.send("GET", executionsPath+"/"+test.id, ""), http.StatusOK)
		if status, outcome := b.field(got, "status"), b.field(got, "outcome"); status != test.status || outcome != test.outcome {
			t.Errorf("%s: %s %s, want %s %s", test.id, status, outcome, test.status, test.outcome)
		}
	}
	b.wantError(b.send("POST", executionsPath+"/bad-later/_replay", ""), http.StatusConflict, "The execution is no dead letter.")
	for _, path := range []string{executionsPath + "/none", "/s/ops" + executionsPath + "/bad-later"} {
		b.wantError(b.send("DELETE", path, ""), http.StatusNotFound, "There is no such execution in this space.")
	}
}

func TestWhoWaitsHearsOfTheDiscard(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", serverLogBody)
	waiting := make(chan answer, 1)
	go func() {
		waiting <- b.send("POST", executeA, executeLog, prefer("respond-async, wait=10"), header("Patchbay-Execution-Id", "e"))
	}()
	for deadline := time.Now().Add(10 * time.Second); b.server.ledger.Stats().Queued == 0; {
		if time.Now().After(deadline) {
			t.Fatal("nothing was queued")
		}
	}
	b.must(b.send("DELETE", executionsPath+"/e", ""), http.StatusNoContent)
	b.wantAnswer(await(t, waiting), http.StatusOK,
		`{"connector_id":"a","status":"error","message":"the execution was cancelled","errorSource":"user"}`)
}

func TestReplayOfOne(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{queue: true})
	b.create("a", serverLogBody)
	requests := make(chan wire.Request, 10)
	b.counted(".server-log", func(n int, r wire.Request) wire.Reply {
		requests <- r
		if n == 1 {
			return wire.Reply{Failure: &wire.Failure{Message: "no", Source: wire.User, Retry: wire.RetryNever()}}
		}
		return wire.Reply{}
	})
	b.must(b.send("POST", "/s/default"+executeA, executeLog, prefer("respond-async, wait=10"), header("Patchbay-Execution-Id", "e"), withKey("k")), http.StatusOK)
	if e := b.ended("default", "e"); e.State != ledger.Dead {
		t.Fatalf("%+v", e)
	}
	<-requests
	got := b.must(b.send("POST", executionsPath+"/e/_replay", ""), http.StatusAccepted)
	b.wantAnswer(got, http.StatusAccepted, `{"execution_id":"e","connector_id":"a","status":"queued","durability":"disk"}`)
	r := await(t, requests)
	params, err := testRing.Open(r.SealedParams, seal.ParamsBinding("default", "a", ".server-log", "e"))
	if r.ExecutionID != "e" || r.Attempt != 2 || !r.Given || r.Params != nil || err != nil || string(params) != `{"message":"hello"}` {
		t.Errorf("%+v; params %s, %v", r, params, err)
	}
	if e := b.ended("default", "e"); e.State != ledger.Done || e.Outcome != wire.OK || e.Key != "k" {
		t.Errorf("%+v", e)
	}
	for path, want := range map[string]string{
		executionsPath + "/e/_replay":            "409 The execution is no dead letter.",
		executionsPath + "/none/_replay":         "404 There is no such execution in this space.",
		"/s/ops" + executionsPath + "/e/_replay": "404 There is no such execution in this space.",
	} {
		got := b.send("POST", path, "")
		if got := fmt.Sprint(got.status, " ", b.field(got, "message")); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestDeadLettersWithoutParamsAreNotReplayed(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{queue: true, config: func(c *Config) { c.DeadLetterParamsOff = true }})
	some(t, b)
	b.wantError(b.send("POST", executionsPath+"/bad-later/_replay", ""), http.StatusConflict,
		"The params of the execution were not kept, so it cannot be replayed.")
	b.wantAnswer(b.send("POST", executionsPath+"/_replay", `{}`), http.StatusOK, `{"replayed":0,"skipped":1,"dry_run":false}`)
}

func TestReplayByFilter(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{queue: true})
	start := time.Now().UTC().Format(time.RFC3339Nano)
	some(t, b)
	b.must(b.send("POST", executeA, executeLog, prefer("respond-async, wait=10"), header("Patchbay-Execution-Id", "bad-2")), http.StatusOK)
	b.must(b.send("POST", "/s/ops/api/actions/connector/o/_execute", executeLog, prefer("respond-async, wait=10"), header("Patchbay-Execution-Id", "bad-ops")), http.StatusOK)
	now := time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano)
	for _, test := range []struct {
		filter string
		want   int
	}{
		{`{"dry_run":true}`, 2},
		{`{"dry_run":true,"connector_id":"a"}`, 2},
		{`{"dry_run":true,"connector_id":"i"}`, 0},
		{`{"dry_run":true,"error_class":"refused"}`, 2},
		{`{"dry_run":true,"error_class":"poison"}`, 0},
		{`{"dry_run":true,"from":"` + start + `","to":"` + now + `"}`, 2},
		{`{"dry_run":true,"to":"` + start + `"}`, 0},
		{`{"dry_run":true,"from":"` + now + `"}`, 0},
	} {
		b.wantAnswer(b.send("POST", executionsPath+"/_replay", test.filter), http.StatusOK, fmt.Sprintf(`{"replayed":%d,"skipped":0,"dry_run":true}`, test.want))
	}
	if ids, _ := b.executions("", "?status=dead"); len(ids) != 2 {
		t.Errorf("dead after dry runs: %v", ids)
	}
	// One in a hundred seconds: the second is due much later.
	b.wantAnswer(b.send("POST", executionsPath+"/_replay", `{"rate":0.01}`), http.StatusOK, `{"replayed":2,"skipped":0,"dry_run":false}`)
	b.ended("default", "bad-later")
	ids, _ := b.executions("", "?status=queued&connector_id=a")
	if diff := cmp.Diff([]string{"bad-2"}, ids); diff != "" {
		t.Errorf("queued (-want +got):\n%s", diff)
	}
	if ids, _ := b.executions("/s/ops", "?status=dead"); !cmp.Equal(ids, []string{"bad-ops"}) {
		t.Errorf("dead in another space: %v", ids)
	}
	for body, want := range map[string]string{
		`{"rate":-1}`:                   "[request body.rate]: a number of executions per second is expected, 0 for all at once",
		`{"rate":"x"}`:                  "[request body.rate]: a number of executions per second is expected, 0 for all at once",
		`{"rate":null}`:                 "[request body.rate]: a number of executions per second is expected, 0 for all at once",
		`{"connector_id":""}`:           "[request body.connector_id]: it is empty; leave it out for all connectors",
		`{"to":"0001-01-01T00:00:00Z"}`: "[request body.to]: a time like 2026-01-02T03:04:05Z is expected",
		`{"from":"now"}`:                "[request body.from]: a time like 2026-01-02T03:04:05Z is expected",
		`{"space":"ops"}`:               "[request body.space]: definition for this key is missing",
		`null`:                          "[request body]: expected a plain object value, but found [null] instead.",
	} {
		b.wantError(b.sendBad("POST", executionsPath+"/_replay", body), http.StatusBadRequest, want)
	}
}

func TestExecutionDiscardedBetweenAttemptsHasNoLastOne(t *testing.T) {
	t.Parallel()
	discarded := ledger.Execution{State: ledger.Done, Outcome: ledger.Cancelled, Attempt: ledger.Attempt{Number: 2}}
	if got := presentExecution(&discarded).LastAttempt; got != nil {
		t.Errorf("last attempt: %+v, want none", got)
	}
}

// Else a dead letter would be a way to where the one who replays it may not write.
func TestReplayHasTheReachOfWhoAsksForIt(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{queue: true})
	b.create("a", serverLogBody)
	requests := make(chan wire.Request, 2)
	b.work(".server-log", func(r wire.Request, _ nats.Header) wire.Reply {
		requests <- r
		return wire.Reply{Failure: &wire.Failure{Message: "no", Retry: wire.RetryNever(), Source: wire.User}}
	})
	b.must(b.send("POST", executeA, executeLog, edits(header("Patchbay-Execution-Id", "e"), prefer("respond-async, wait=10"))), http.StatusOK)
	if first := await(t, requests); first.Access != nil {
		t.Errorf("access %+v, want no limit", first.Access)
	}
	limited := b.key(access.Privileges{All: []string{"*"}, Indices: []string{"a-*"}})
	b.must(b.send("POST", executionsPath+"/e/_replay", "", limited), http.StatusAccepted)
	if again := await(t, requests); again.Access == nil || !slices.Equal(again.Access.Indices, []string{"a-*"}) {
		t.Errorf("access %+v, want that of who replays it", again.Access)
	}
}
