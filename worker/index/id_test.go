package index

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/index/elastictest"
)

// recorded returns a job as one attempt of an execution that is on record.
func recorded(j job, attempt int) job {
	j.Space, j.ConnectorID, j.ExecutionID, j.Given, j.Attempt = "ops", "alerts", "e1", true, attempt
	return j
}

// id returns the one that a document of recorded has: the lengths are frozen here,
// since attempts may be run by workers of two versions.
func id(n byte) string {
	sum := sha256.Sum256([]byte("\x00\x00\x00\x03ops\x00\x00\x00\x06alerts\x00\x00\x00\x02e1\x00\x00\x00\x00\x00\x00\x00" + string(rune(n))))
	return base64.RawURLEncoding.EncodeToString(sum[:20])
}

// there is the item of a document that an earlier attempt wrote.
func there(index string, n byte) string {
	return `{"create":{"_index":"` + index + `","_id":"` + id(n) + `","status":200,"result":"noop"}}`
}

func TestDocumentsOfARecordedExecutionHaveIDs(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	if _, err := e.Execute(t.Context(), recorded(into(t, "a", `{"n":1},{"n":2}`), 1)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{id(0), id(1)}, cluster.IDs("a")); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	answers, _ := together(t, e, cluster, recorded(into(t, "b", `{"n":1}`), 1), into(t, "b", `{"n":2}`), recorded(into(t, "c", `{"n":3}`), 0))
	for i, a := range answers {
		if a.err != nil {
			t.Errorf("execution %d: %v", i, a.err)
		}
	}
	all := bodies(cluster, 0)
	want := []string{
		"/a/_bulk?refresh=false\n" + `{"index":{"op_type":"create","_id":"` + id(0) + `"}}` + "\n" + `{"n":1}` + "\n" +
			`{"index":{"op_type":"create","_id":"` + id(1) + `"}}` + "\n" + `{"n":2}` + "\n",
		"/_bulk?refresh=false\n" + `{"index":{"_index":"b","op_type":"create","_id":"` + id(0) + `"}}` + "\n" + `{"n":1}` + "\n" +
			`{"index":{"_index":"b","op_type":"create"}}` + "\n" + `{"n":2}` + "\n" +
			`{"index":{"_index":"c","op_type":"create"}}` + "\n" + `{"n":3}` + "\n",
	}
	if diff := cmp.Diff(want, []string{all[0], all[len(all)-1]}); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestIDsAreOfOneDocumentOfOneExecution(t *testing.T) {
	t.Parallel()
	seen := make(map[string]string)
	for _, of := range [][3]string{{"a", "b", "c"}, {"ab", "", "c"}, {"a", "bc", ""}, {"", "ab", "c"}, {"a", "b", "d"}, {"d", "b", "c"}, {"a", "d", "c"}} {
		j := recorded(into(t, "i", `{},{}`), 1)
		j.Space, j.ConnectorID, j.ExecutionID = of[0], of[1], of[2]
		first, ids := idsOf(j), fmt.Sprint(of)
		j.Attempt = 2
		if diff := cmp.Diff(first, idsOf(j)); diff != "" {
			t.Errorf("%s: ids of the second attempt (-first +second):\n%s", ids, diff)
		}
		for i, id := range first {
			if other, ok := seen[id]; ok {
				t.Errorf("%s %d has the id of %s", ids, i, other)
			}
			seen[id] = fmt.Sprint(ids, i)
		}
	}
}

func TestRetryAfterALostAnswerWritesNothingTwice(t *testing.T) {
	t.Parallel()
	for name, batching := range map[string]Batching{"alone": {}, "batching": roomy} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, cluster := setupBatching(t, batching, elastictest.Options{})
			j := into(t, "reset-first", `{"n":1},{"n":2}`)
			if _, err := e.Execute(t.Context(), recorded(j, 1)); !failure(t, err).Unknown {
				t.Errorf("first attempt: %v, want an unknown outcome", err)
			}
			for attempt := 2; attempt < 4; attempt++ {
				data, err := e.Execute(t.Context(), recorded(j, attempt))
				want := `{"errors":false,"took":3,"items":[` + there("reset-first", 0) + `,` + there("reset-first", 1) + `]}`
				if err != nil || string(data) != want {
					t.Errorf("attempt %d: %s, %v, want %s", attempt, data, err, want)
				}
			}
			if diff := cmp.Diff([]string{`{"n":1}`, `{"n":2}`}, lines(cluster.Documents("reset-first"))); diff != "" {
				t.Errorf("documents (-want +got):\n%s", diff)
			}
		})
	}
}

// Everyone in a bulk whose answer is lost writes once, whoever comes along.
func TestRetryInABulkConcernsItsExecutionAlone(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	first, second := into(t, "reset-first", `{"n":1}`), into(t, "reset-first", `{"n":2}`)
	attempt := func(n int) []job {
		other := recorded(second, n)
		other.ExecutionID = "e2"
		return []job{recorded(first, n), other, into(t, "any", `{}`)}
	}
	answers, _ := together(t, e, cluster, attempt(1)...)
	for i, a := range answers {
		if !failure(t, a.err).Unknown {
			t.Errorf("first attempt of execution %d: %v, want an unknown outcome", i, a.err)
		}
	}
	jobs := append(attempt(2), recorded(first, 1)) // the last one has no earlier attempt
	answers, requests := together(t, e, cluster, jobs...)
	for i, want := range []string{"reset-first 200", "reset-first 200", "any 201"} {
		if got := answers[i]; got.err != nil || items(t, got.data) != want || !strings.HasPrefix(got.data, `{"errors":false,`) {
			t.Errorf("execution %d: %+v, want %s", i, got, want)
		}
	}
	want := ours(&wire.Failure{ServiceMessage: "[" + id(0) + "]: version conflict, document already exists (current version [1])"})
	if diff := cmp.Diff(want, failure(t, answers[3].err), comparable); diff != "" {
		t.Errorf("conflict of a first attempt (-want +got):\n%s", diff)
	}
	if got := lines(cluster.Documents("reset-first")); requests != 1 || len(got) != 2 {
		t.Errorf("%d requests, documents %s, want 1 and both once", requests, got)
	}
}

func TestRetryWritesWhatIsMissing(t *testing.T) {
	t.Parallel()
	e, cluster := setup(t)
	if _, err := e.Execute(t.Context(), recorded(into(t, "any", `{"n":1},{"n":2}`), 1)); err != nil {
		t.Fatal(err)
	}
	data, err := e.Execute(t.Context(), recorded(into(t, "any", `{"n":1},{"n":2},{"n":3}`), 2))
	if got := string(data); err != nil || items(t, got) != "any 200,any 200,any 201" || !strings.HasPrefix(got, `{"errors":false,`) {
		t.Errorf("second attempt: %s, %v", got, err)
	}
	if diff := cmp.Diff([]string{`{"n":1}`, `{"n":2}`, `{"n":3}`}, lines(cluster.Documents("any"))); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
}

// The answer tells only of what is wrong with the others.
func TestRetryStillTellsOfOtherFailures(t *testing.T) {
	t.Parallel()
	e, cluster := setup(t)
	if _, err := e.Execute(t.Context(), recorded(into(t, "per-item", `{}`), 1)); err != nil {
		t.Fatal(err)
	}
	_, err := e.Execute(t.Context(), recorded(into(t, "per-item", `{},{"status":400}`), 2))
	want := ours(&wire.Failure{ServiceMessage: "[1:11] failed to parse field [n] of type [long] in document with id '" + id(1) +
		`'. Preview of field's value: 'abc' (For input string: "abc")`})
	if diff := cmp.Diff(want, failure(t, err), comparable); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
	if got := len(cluster.Documents("per-item")); got != 1 {
		t.Errorf("%d documents, want 1", got)
	}
}

// Only the cluster's word that it has this very document counts.
func TestOtherConflictsAreFailures(t *testing.T) {
	t.Parallel()
	const kind = "version_conflict_engine_exception"
	for name, item := range map[string]string{
		"another id":     `{"create":{"_index":"a","_id":"other","status":409,"error":{"type":"` + kind + `","reason":"r"}}}`,
		"another error":  `{"create":{"_index":"a","_id":"` + id(0) + `","status":409,"error":{"type":"other","reason":"r"}}}`,
		"no error":       `{"create":{"_index":"a","_id":"` + id(0) + `","status":409}}`,
		"another status": `{"create":{"_index":"a","_id":"` + id(0) + `","status":400,"error":{"type":"` + kind + `","reason":"r"}}}`,
		"another action": `{"delete":{"_index":"a","_id":"` + id(0) + `","status":409,"error":{"type":"` + kind + `","reason":"r"}}}`,
	} {
		cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("X-Elastic-Product", "Elasticsearch")
			_, _ = io.WriteString(w, `{"errors":true,"took":1,"items":[`+item+`]}`)
		}))
		e := newExecutor(t, Config{URL: cluster.URL})
		if _, err := e.Execute(t.Context(), recorded(into(t, "a", `{}`), 2)); failure(t, err).Unknown {
			t.Errorf("%s: %v, want a failure that is known", name, err)
		}
		e.Close()
		cluster.Close()
	}
}

func TestRejectedDocumentsAreSentAgainWithTheirIDs(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	noPause(e)
	if _, err := e.Execute(t.Context(), into(t, "crowded", `{"n":2}`)); err != nil { // the next one of these is taken at once
		t.Fatal(err)
	}
	if _, err := e.Execute(t.Context(), recorded(into(t, "crowded", `{"n":1},{"n":2},{"n":3}`), 1)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{id(1), id(0), id(2)}, cluster.IDs("crowded")[1:]); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

// Without ids a retry would write again what was written, so that there is none.
func TestPartlyRejectedExecutionOnRecordMayBeRunAgain(t *testing.T) {
	t.Parallel()
	for attempt, want := range []wire.Retry{{}, wire.RetryLater(), wire.RetryLater()} {
		e, _ := setupBatching(t, roomy, elastictest.Options{})
		noPause(e)
		_, err := e.Execute(t.Context(), recorded(into(t, "per-item", `{},{"status":429},{"status":400}`), attempt))
		if got := failure(t, err); got.Retry != want || got.Unknown {
			t.Errorf("attempt %d: %+v, want retry %+v", attempt, got, want)
		}
	}
}

// A conflict takes more bytes than a success, and must not make one unknown.
func TestRetryOfManyDocumentsFitsTheLimit(t *testing.T) {
	t.Parallel()
	documents := strings.TrimSuffix(strings.Repeat("{},", 10), ",")
	for _, batching := range []Batching{{}, roomy} {
		for limit, want := range map[int64]int{1500: 10, 500: 0} {
			e, cluster := setupBatching(t, batching, elastictest.Options{})
			if _, err := e.Execute(t.Context(), recorded(into(t, "any", documents), 1)); err != nil {
				t.Fatal(err)
			}
			e.maxResponse = limit
			data, err := e.Execute(t.Context(), recorded(into(t, "any", documents), 2))
			var got struct {
				Errors bool
				Items  []json.RawMessage
			}
			if err := json.Unmarshal(data, &got); err != nil {
				t.Errorf("answer %q: %v", data, err)
			}
			if err != nil || got.Errors || len(got.Items) != want || int64(len(data)) > limit {
				t.Errorf("limit %d: %s, %v, want %d items", limit, data, err, want)
			}
			if n := len(cluster.Documents("any")); n != 10 {
				t.Errorf("%d documents, want 10", n)
			}
		}
	}
}

func TestAttemptDoesNotWidenAccess(t *testing.T) {
	t.Parallel()
	e, cluster := setup(t)
	j := recorded(into(t, "any", `{}`), 2)
	j.Access = &wire.Access{Key: "k1", Indices: []string{"alerts-*"}}
	_, err := e.Execute(t.Context(), j)
	if diff := cmp.Diff(ours(&wire.Failure{ServiceMessage: unauthorized("k1", "any")}), failure(t, err), comparable); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
	if got := cluster.Requests(); got != 0 {
		t.Errorf("%d requests arrived", got)
	}
}

func TestMemberWithIDsHasTheSizeOfItsLines(t *testing.T) {
	t.Parallel()
	b := newExecutor(t, Config{Batching: roomy}).batches
	j := recorded(into(t, "any", `{"a":1},{"b":2}`), 1)
	x := &execution{target: "any", documents: j.Params.Documents, now: clock, ids: idsOf(j)}
	f, _, now := b.enter(t.Context(), x)
	if now.err != nil {
		t.Fatal(now.err)
	}
	_, m, now := b.enter(t.Context(), x)
	if now.err != nil {
		t.Fatal(now.err)
	}
	if body := appendLines(nil, m.action, x.documents, x.ids, "", clock); m.size != int64(len(body)) {
		t.Errorf("size %d of %d bytes:\n%s", m.size, len(body), body)
	}
	b.close() // with nothing sent
	f.land()
}
