package index

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/index/elastictest"
)

// together runs jobs in one bulk and returns the answers, and how many requests
// it took.
func together(t *testing.T, e *Executor, cluster *elastictest.Server, jobs ...job) (answers []answer, requests int) {
	t.Helper()
	release := occupy(t, e, cluster)
	waiting := join(t, e, jobs...)
	before := cluster.Requests()
	release()
	for _, a := range waiting {
		answers = append(answers, <-a)
	}
	return answers, cluster.Requests() - before
}

// What is nobody's fault in particular goes to everyone, and nothing is sent again.
func TestFaultOfABulkIsThatOfEveryCaller(t *testing.T) {
	t.Parallel()
	const kept, dropped = 1, 0
	for _, test := range []struct {
		index   string
		stored  int
		unknown bool
		text    string // part of the service message
	}{
		{"status-401", dropped, false, "unable to authenticate user [patchbay]"},
		{"status-403", dropped, false, "is unauthorized for user [patchbay]"},
		{"status-500", dropped, false, "There are no ingest nodes"},
		{"status-502", dropped, true, "502 Bad Gateway"},
		{"status-504", dropped, true, "504 Gateway Timeout"},
		{"errors-no-items", dropped, true, "the cluster answered for 0 documents, 3 were sent"},
		{"wrong-count", kept, true, "the cluster answered for 2 documents, 3 were sent"},
		{"cut", kept, true, "unexpected EOF"},
		{"reset", kept, true, "connection reset by peer"},
		{"large-late", kept, true, "the cluster's answer is larger than 1000 bytes (PATCHBAY_MAX_RESPONSE)"},
		{"html", dropped, true, "the cluster's answer is not that of a _bulk request: invalid character '<'"},
	} {
		t.Run(test.index, func(t *testing.T) {
			t.Parallel()
			e, cluster := setupBatching(t, roomy, elastictest.Options{})
			e.maxResponse = 1000
			answers, requests := together(t, e, cluster, into(t, "a", `{}`), into(t, test.index, `{}`), into(t, "b", `{}`))
			for i, a := range answers {
				f := failure(t, a.err)
				if f.Unknown != test.unknown || !strings.Contains(f.ServiceMessage, test.text) || f.Unknown != strings.HasPrefix(f.ServiceMessage, unknownPrefix) {
					t.Errorf("execution %d: %+v, want unknown %t and %q", i, f, test.unknown, test.text)
				}
				if want := (wire.Retry{}); !f.Unknown && f.Retry != want {
					t.Errorf("execution %d: retry %+v", i, f.Retry)
				}
			}
			if requests != 1 {
				t.Errorf("%d requests, want 1", requests)
			}
			for _, index := range []string{"a", test.index, "b"} {
				if got := len(cluster.Documents(index)); got != test.stored {
					t.Errorf("%d documents in %s, want %d", got, index, test.stored)
				}
			}
		})
	}
}

func TestBulkThatWasNotSentMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	var broken atomic.Bool
	dial := e.transport.DialContext
	e.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if broken.Load() {
			return nil, errors.New("connection refused")
		}
		return dial(ctx, network, address)
	}
	release := cluster.Hold()
	first := begin(t.Context(), e, into(t, "reset", `{}`)) // after which no connection is left
	if err := cluster.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	waiting := join(t, e, into(t, "a", `{}`), into(t, "b", `{}`))
	broken.Store(true)
	release()
	<-first
	for _, a := range waiting {
		if diff := cmp.Diff(notSent("connection refused"), failure(t, (<-a).err), comparable); diff != "" {
			t.Errorf("failure (-want +got):\n%s", diff)
		}
	}
}

func TestAnswerLargerThanForAllTogether(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	e.maxResponse = 1000
	answers, _ := together(t, e, cluster, into(t, "large", `{}`), into(t, "a", `{}`))
	for i, a := range answers {
		if a.err != nil || a.data != `{"errors":false,"took":3,"items":[]}` {
			t.Errorf("execution %d: %+v, want success without items", i, a)
		}
	}
	answers, _ = together(t, e, cluster, into(t, "large", `{}`), into(t, "per-item", `{"status":409}`))
	for i, a := range answers {
		if f := failure(t, a.err); !f.Unknown {
			t.Errorf("execution %d: %+v, want unknown: it is not told whose document failed", i, f)
		}
	}
}

func TestLimitOfAnAnswerIsThatOfEachShare(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	answers, _ := together(t, e, cluster, into(t, "a", `{}`), into(t, "b", `{}`))
	whole := answers[0].data
	e.maxResponse = int64(len(whole))
	three := `{"status":201},{"status":201},{"status":409}`
	answers, requests := together(t, e, cluster, into(t, "a", `{}`), into(t, "a", `{},{}`), into(t, "per-item", three), into(t, "b", `{}`))
	if requests != 1 {
		t.Errorf("%d requests, want 1", requests)
	}
	for _, i := range []int{0, 3} {
		if got := answers[i]; got.err != nil || len(got.data) != len(whole) {
			t.Errorf("at the limit: %+v", got)
		}
	}
	if got := answers[1]; got.err != nil || got.data != `{"errors":false,"took":3,"items":[]}` {
		t.Errorf("over the limit: %+v", got)
	}
	want := ours(&wire.Failure{ServiceMessage: "some documents were not written: " + e.overLimit()})
	if diff := cmp.Diff(want, failure(t, answers[2].err), comparable); diff != "" {
		t.Errorf("over the limit, with a failure (-want +got):\n%s", diff)
	}
}

func TestBadDocumentFailsOnlyItsCaller(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	answers, requests := together(t, e, cluster, into(t, "a", `{}`), into(t, "per-item", `{},{"status":409}`), into(t, "no-reason", `{}`), into(t, "b", `{},{}`))
	if requests != 1 || answers[0].err != nil || answers[3].err != nil {
		t.Errorf("%d requests, %v, %v; want one, and success for the good", requests, answers[0].err, answers[3].err)
	}
	if got := answers[0].data; !strings.HasPrefix(got, `{"errors":false,"took":3,"items":[{`) {
		t.Errorf("answer %s, want errors false", got)
	}
	want := ours(&wire.Failure{ServiceMessage: fmt.Sprintf(conflict, 2)}) // the third of the bulk
	if diff := cmp.Diff(want, failure(t, answers[1].err), comparable); diff != "" {
		t.Errorf("the conflict (-want +got):\n%s", diff)
	}
	want = ours(&wire.Failure{ServiceMessage: "Indexing error but no reason returned."})
	if diff := cmp.Diff(want, failure(t, answers[2].err), comparable); diff != "" {
		t.Errorf("no reason (-want +got):\n%s", diff)
	}
}

// A request that is wrong as a whole was not written; the culprit is found in
// halves and gets the answer that it would have got alone.
func TestMalformedRequestFailsOnlyItsCaller(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	var jobs []job
	for i := range 8 {
		index := "a"
		if i == 5 {
			index = "status-400"
		}
		jobs = append(jobs, into(t, index, fmt.Sprintf(`{"n":%d}`, i)))
	}
	answers, requests := together(t, e, cluster, jobs...)
	for i, a := range answers {
		if i != 5 && a.err != nil {
			t.Errorf("execution %d: %v", i, a.err)
		}
	}
	_, alone := newExecutor(t, Config{URL: cluster.URL()}).Execute(t.Context(), jobs[5])
	if diff := cmp.Diff(failure(t, alone), failure(t, answers[5].err), comparable); diff != "" {
		t.Errorf("the culprit (-alone +got):\n%s", diff)
	}
	want := []string{`{"n":0}`, `{"n":1}`, `{"n":2}`, `{"n":3}`, `{"n":4}`, `{"n":6}`, `{"n":7}`}
	if diff := cmp.Diff(want, lines(cluster.Documents("a"))); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
	if got := e.Stats().Splits; requests != 7 || got != 3 {
		t.Errorf("%d requests and %d splits, want 7 and 3", requests, got)
	}
}

func TestTooLargeBulkIsHalvedDownToOneExecution(t *testing.T) {
	t.Parallel()
	document := `{"n":"` + strings.Repeat("x", 100) + `"}`
	two := 2 * (len(`{"index":{"_index":"a","op_type":"create"}}`+"\n") + len(document) + 1)
	e, cluster := setupBatching(t, roomy, elastictest.Options{MaxBody: two})
	large := into(t, "a", document+","+document+","+document)
	answers, requests := together(t, e, cluster, into(t, "a", document), into(t, "a", document), large, into(t, "a", document))
	for i, a := range answers {
		if i != 2 && (a.err != nil || items(t, a.data) != "a 201") {
			t.Errorf("execution %d: %+v", i, a)
		}
	}
	want := ours(&wire.Failure{ServiceMessage: "413 Request Entity Too Large"})
	if diff := cmp.Diff(want, failure(t, answers[2].err), comparable); diff != "" {
		t.Errorf("the large one (-want +got):\n%s", diff)
	}
	if requests != 5 { // of four, of two twice, of the large one, of the last
		t.Errorf("%d requests, want 5", requests)
	}
	if got := len(cluster.Documents("a")); got != 3 {
		t.Errorf("%d documents, want 3", got)
	}
}

// Who leaves between two halves has sent nothing.
func TestCallerWhoLeavesBeforeHisHalfIsSentLeaves(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	first := occupy(t, e, cluster)
	second := cluster.Hold()
	stays := join(t, e, into(t, "a", `{}`), into(t, "status-400", `{}`))
	ctx, cancel := abandonable(t)
	leaves := begin(ctx, e, into(t, "b", `{}`))
	awaitWaiting(t, e, 3)
	first()
	if err := cluster.Wait(t.Context(), 2); err != nil { // all three
		t.Fatal(err)
	}
	third := cluster.Hold()
	second() // refused: now the first half is under way
	if err := cluster.Wait(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	cancel()
	if diff := cmp.Diff(notSent("the caller went away"), failure(t, (<-leaves).err), comparable); diff != "" {
		t.Errorf("who left (-want +got):\n%s", diff)
	}
	third()
	if got := <-stays[0]; got.err != nil {
		t.Error(got.err)
	}
	if f := failure(t, (<-stays[1]).err); f.Unknown {
		t.Errorf("the culprit: %+v", f)
	}
	if got := len(cluster.Documents("b")); got != 0 {
		t.Errorf("%d documents of who left", got)
	}
}

// A firewall that dislikes one document refuses the request, not Elasticsearch.
func TestRefusalOfAFirewallFailsOnlyItsCaller(t *testing.T) {
	t.Parallel()
	cluster := elastictest.Start()
	defer cluster.Close()
	firewall := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "<script>") {
			http.Error(w, "no scripts", http.StatusForbidden)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		cluster.ServeHTTP(w, r)
	}))
	defer firewall.Close()
	e := newExecutor(t, Config{URL: firewall.URL, Batching: roomy})
	defer e.Close()
	answers, _ := together(t, e, cluster, into(t, "a", `{}`), into(t, "a", `{"n":"<script>"}`), into(t, "a", `{}`))
	if answers[0].err != nil || answers[2].err != nil {
		t.Errorf("the others: %v, %v", answers[0].err, answers[2].err)
	}
	if diff := cmp.Diff(ours(&wire.Failure{ServiceMessage: "no scripts"}), failure(t, answers[1].err), comparable); diff != "" {
		t.Errorf("the culprit (-want +got):\n%s", diff)
	}
}
