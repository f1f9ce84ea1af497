package index

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/worker/index/elastictest"
	"patchbay.dev/worker/pool"
)

// roomy are limits that no test reaches by chance.
var roomy = Batching{On: true, InFlight: 1, Bytes: 1 << 20, Documents: 1000, Queue: 1 << 20}

// setupBatching is setup for an executor that batches.
func setupBatching(t *testing.T, batching Batching, options elastictest.Options) (*Executor, *elastictest.Server) {
	t.Helper()
	cluster := elastictest.StartWith(options)
	e := newExecutor(t, Config{URL: cluster.URL(), Batching: batching})
	e.patience = time.Hour
	t.Cleanup(func() {
		e.Close()
		cluster.Close()
		if violations := cluster.Violations(); len(violations) > 0 {
			t.Errorf("breaches of the protocol:\n%s", strings.Join(violations, "\n"))
		}
	})
	return e, cluster
}

// answer is what a caller got.
type answer struct {
	data string
	err  error
}

// begin runs a job in the background.
func begin(ctx context.Context, e *Executor, j job) <-chan answer {
	done := make(chan answer, 1)
	go func() {
		data, err := e.Execute(ctx, j)
		done <- answer{string(data), err}
	}()
	return done
}

// abandonable returns a context and what ends it as a caller who goes away does.
func abandonable(t *testing.T) (ctx context.Context, leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	return ctx, func() { cancel(pool.ErrAbandoned) }
}

// await polls until a condition holds: nothing signals that a caller waits.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Microsecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

func awaitWaiting(t *testing.T, e *Executor, n int64) {
	t.Helper()
	await(t, fmt.Sprintf("%d executions wait", n), func() bool { return e.Stats().Waiting == n })
}

// occupy sends an execution that the cluster holds, so that all others wait, and
// returns what lets it go.
func occupy(t *testing.T, e *Executor, cluster *elastictest.Server) (release func()) {
	t.Helper()
	let := cluster.Hold()
	before := cluster.Requests()
	first := begin(t.Context(), e, into(t, "first", `{}`))
	if err := cluster.Wait(t.Context(), before+1); err != nil {
		t.Fatal(err)
	}
	return func() {
		let()
		if got := <-first; got.err != nil {
			t.Errorf("the first execution: %v", got.err)
		}
	}
}

// join begins a job for each and returns when they wait, in that order.
func join(t *testing.T, e *Executor, jobs ...job) []<-chan answer {
	t.Helper()
	answers := make([]<-chan answer, len(jobs))
	before := e.Stats().Waiting
	for i, j := range jobs {
		answers[i] = begin(t.Context(), e, j)
		awaitWaiting(t, e, before+int64(i)+1)
	}
	return answers
}

// bodies returns the requests after the first n, each its path and its body.
func bodies(cluster *elastictest.Server, n int) []string {
	var all []string
	for _, r := range cluster.Received()[n:] {
		all = append(all, r.URI+"\n"+string(r.Body))
	}
	return all
}

// items returns the index and status of each item of an answer.
func items(t *testing.T, data string) string {
	t.Helper()
	var got struct {
		Items []struct {
			Create struct {
				Index  string `json:"_index"`
				Status int
			}
		}
	}
	if err := json.Unmarshal([]byte(data), &got); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	var all []string
	for _, i := range got.Items {
		all = append(all, fmt.Sprint(i.Create.Index, " ", i.Create.Status))
	}
	return strings.Join(all, ",")
}

func TestLoneCallersLeaveAtOnceAsWithoutBatching(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	for range 3 {
		if _, err := e.Execute(t.Context(), into(t, "any", `{"a":1},{"b":2}`)); err != nil {
			t.Fatal(err)
		}
	}
	const want = "/any/_bulk?refresh=false\n" + action + `{"a":1}` + "\n" + action + `{"b":2}` + "\n"
	if diff := cmp.Diff([]string{want, want, want}, bodies(cluster, 0)); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	size := int64(3 * (2*len(action) + 16))
	if diff := cmp.Diff(Stats{Bulks: 3, Executions: 3, Documents: 6, Bytes: size, Sizes: [11]int64{3}}, e.Stats()); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

func TestThoseWhoWaitLeaveTogetherAndGetTheirOwn(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	release := occupy(t, e, cluster)
	timed := newJob(t, `{"index":"b","executionTimeField":"@t\""}`, `{"documents":[{"n":2},{"n":3}]}`)
	answers := join(t, e, into(t, "a", `{"n":1}`), timed, into(t, "é", `{"n":4}`), into(t, "a", `{"n":5}`))
	release()
	var got []string
	for _, a := range answers {
		one := <-a
		if one.err != nil {
			t.Fatal(one.err)
		}
		got = append(got, items(t, one.data))
	}
	if diff := cmp.Diff([]string{"a 201", "b 201,b 201", "é 201", "a 201"}, got); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	const now = `,"@t\"":"2026-03-04T05:06:07.089Z"}` + "\n"
	want := "/_bulk?refresh=false\n" +
		`{"index":{"_index":"a","op_type":"create"}}` + "\n" + `{"n":1}` + "\n" +
		`{"index":{"_index":"b","op_type":"create"}}` + "\n" + `{"n":2` + now +
		`{"index":{"_index":"b","op_type":"create"}}` + "\n" + `{"n":3` + now +
		`{"index":{"_index":"é","op_type":"create"}}` + "\n" + `{"n":4}` + "\n" +
		`{"index":{"_index":"a","op_type":"create"}}` + "\n" + `{"n":5}` + "\n"
	if diff := cmp.Diff([]string{want}, bodies(cluster, 1)); diff != "" {
		t.Errorf("requests after the first (-want +got):\n%s", diff)
	}
	stats := e.Stats()
	if diff := cmp.Diff(Stats{Bulks: 2, Executions: 5, Documents: 6, Bytes: stats.Bytes, Sizes: [11]int64{1, 0, 1}}, stats); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

func TestOnlyTheRefreshFlagKeepsExecutionsApart(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	release := occupy(t, e, cluster)
	refreshing := newJob(t, `{"index":"r","refresh":true}`, `{"documents":[{}]}`)
	lone := begin(t.Context(), e, refreshing) // nobody of its kind is in flight
	if err := cluster.Wait(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	answers := join(t, e, into(t, "a", `{}`), refreshing, into(t, "b", `{}`), refreshing)
	release()
	for _, a := range append(answers, lone) {
		if got := <-a; got.err != nil {
			t.Error(got.err)
		}
	}
	paths := make(map[string]int)
	for _, r := range cluster.Received() {
		paths[r.URI] += strings.Count(string(r.Body), "\n") / 2
	}
	want := map[string]int{"/first/_bulk?refresh=false": 1, "/r/_bulk?refresh=true": 1, "/_bulk?refresh=false": 2, "/_bulk?refresh=true": 2}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("documents by path (-want +got):\n%s", diff)
	}
}

func TestBatchesKeepTheirCaps(t *testing.T) {
	t.Parallel()
	const one = `{"n":1}`
	line := len(`{"index":{"_index":"a","op_type":"create"}}`+"\n") + len(one) + 1
	several := func(n int) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	for _, test := range []struct {
		name      string
		batching  Batching
		documents []int    // of each execution that waits
		want      []string // the executions of each request after the first
	}{
		{"documents at the cap", Batching{Bytes: 1 << 20, Documents: 4}, []int{1, 3, 1}, []string{"1 3", "1"}},
		{"documents over the cap", Batching{Bytes: 1 << 20, Documents: 3}, []int{1, 3, 1}, []string{"1", "3", "1"}},
		{"bytes at the cap", Batching{Bytes: int64(4 * line), Documents: 100}, []int{1, 3, 1}, []string{"1 3", "1"}},
		{"bytes over the cap", Batching{Bytes: int64(4*line - 1), Documents: 100}, []int{1, 3, 1}, []string{"1", "3", "1"}},
		{"larger than a cap", Batching{Bytes: 1 << 20, Documents: 2}, []int{1, 5, 1, 1}, []string{"1", "5", "1 1"}},
		{"without documents", Batching{Bytes: 1 << 20, Documents: 100}, []int{1, 0, 1, 1}, []string{"1", "0", "1 1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.batching.On, test.batching.InFlight, test.batching.Queue = true, 1, 1<<20
			e, cluster := setupBatching(t, test.batching, elastictest.Options{})
			release := occupy(t, e, cluster)
			var jobs []job
			for _, n := range test.documents {
				jobs = append(jobs, into(t, "a", several(n)))
			}
			answers := join(t, e, jobs...)
			release()
			for i, a := range answers {
				if got := <-a; (got.err == nil) != (test.documents[i] > 0) || got.err == nil && strings.Count(got.data, "create\"") != test.documents[i] {
					t.Errorf("execution of %d documents: %s, %v", test.documents[i], got.data, got.err)
				}
			}
			var got []string
			left := test.documents
			for _, body := range bodies(cluster, 1) {
				n := strings.Count(body, one)
				var executions []string
				for sum := 0; len(left) > 0 && sum+left[0] <= n && (sum < n || n == 0 && len(executions) == 0); left = left[1:] {
					sum += left[0]
					executions = append(executions, fmt.Sprint(left[0]))
				}
				got = append(got, strings.Join(executions, " "))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSeveralBulksAreInFlight(t *testing.T) {
	t.Parallel()
	batching := roomy
	batching.InFlight = 3
	e, cluster := setupBatching(t, batching, elastictest.Options{})
	release := cluster.Hold()
	var answers []<-chan answer
	for range 3 {
		answers = append(answers, begin(t.Context(), e, into(t, "a", `{}`)))
	}
	if err := cluster.Wait(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	answers = append(answers, join(t, e, into(t, "a", `{}`), into(t, "a", `{}`))...)
	release()
	for _, a := range answers {
		if got := <-a; got.err != nil {
			t.Error(got.err)
		}
	}
	if got := cluster.Requests(); got != 4 {
		t.Errorf("%d requests, want 3 and one for those who waited", got)
	}
}

func TestBulkThatHangsDoesNotKeepOthersWaiting(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	e.patience = 20 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	hanging := begin(ctx, e, into(t, "silent", `{}`))
	if err := cluster.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Execute(t.Context(), into(t, "any", `{}`)); err != nil {
		t.Error(err)
	}
	cancel()
	if got := failure(t, (<-hanging).err); !got.Unknown {
		t.Errorf("the execution that hangs: %+v", got)
	}
	if _, err := e.Execute(t.Context(), into(t, "any", `{}`)); err != nil { // its place was given back once
		t.Error(err)
	}
}

func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	size := int64(len(`{"index":{"_index":"a","op_type":"create"}}`+"\n") + len("{}\n"))
	batching := roomy
	batching.Queue = 2 * size
	e, cluster := setupBatching(t, batching, elastictest.Options{})
	release := occupy(t, e, cluster)
	answers := join(t, e, into(t, "a", `{}`), into(t, "a", `{}`))
	if _, err := e.Execute(t.Context(), into(t, "a", `{}`)); !errors.Is(err, pool.ErrBusy) {
		t.Errorf("error %v, want %v", err, pool.ErrBusy)
	}
	release()
	for _, a := range answers {
		if got := <-a; got.err != nil {
			t.Error(got.err)
		}
	}
	release = occupy(t, e, cluster) // the bytes of those who left are free
	answers = join(t, e, into(t, "a", `{},{},{},{}`))
	if _, err := e.Execute(t.Context(), into(t, "a", `{}`)); !errors.Is(err, pool.ErrBusy) {
		t.Errorf("beside one larger than the queue: error %v, want %v", err, pool.ErrBusy)
	}
	release()
	if got := <-answers[0]; got.err != nil {
		t.Errorf("one that is larger than the queue: %v", got.err)
	}
	stats := e.Stats()
	if stats.Refused != 2 || stats.Waiting != 0 {
		t.Errorf("stats %+v, want 2 refused, none waiting", stats)
	}
}

func TestCallerWhoLeavesBeforeTheSendLeavesTheBatch(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	release := occupy(t, e, cluster)
	stays := join(t, e, into(t, "a", `{"n":1}`))
	ctx, leave := abandonable(t)
	leaves := begin(ctx, e, into(t, "a", `{"n":2}`))
	awaitWaiting(t, e, 2)
	stays = append(stays, join(t, e, into(t, "a", `{"n":3}`))...)
	leave()
	if diff := cmp.Diff(notSent("the caller went away"), failure(t, (<-leaves).err), comparable); diff != "" {
		t.Errorf("who left (-want +got):\n%s", diff)
	}
	awaitWaiting(t, e, 2)
	release()
	for _, a := range stays {
		if got := <-a; got.err != nil || items(t, got.data) != "a 201" {
			t.Errorf("who stayed: %+v", got)
		}
	}
	if diff := cmp.Diff([]string{`{"n":1}`, `{"n":3}`}, lines(cluster.Documents("a"))); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
}

// underWay begins jobs and returns when the cluster holds the one bulk with all of
// them.
func underWay(t *testing.T, e *Executor, cluster *elastictest.Server, ctx context.Context, jobs ...job) (answers []<-chan answer, release func()) { //nolint:revive // the context is that of the last job
	t.Helper()
	first := occupy(t, e, cluster)
	release = cluster.Hold() // what comes now, but not the first
	answers = join(t, e, jobs[:len(jobs)-1]...)
	answers = append(answers, begin(ctx, e, jobs[len(jobs)-1]))
	awaitWaiting(t, e, int64(len(jobs)))
	before := cluster.Requests()
	first()
	if err := cluster.Wait(t.Context(), before+1); err != nil {
		t.Fatal(err)
	}
	return answers, release
}

func TestCallerWhoLeavesAfterTheSendDoesNotEndTheBatch(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	ctx, leave := abandonable(t)
	answers, release := underWay(t, e, cluster, ctx, into(t, "a", `{"n":1}`), into(t, "a", `{"n":2}`))
	leave()
	if diff := cmp.Diff(lost("the caller went away"), failure(t, (<-answers[1]).err), comparable); diff != "" {
		t.Errorf("who left (-want +got):\n%s", diff)
	}
	release()
	if got := <-answers[0]; got.err != nil || items(t, got.data) != "a 201" {
		t.Errorf("who stayed: %+v", got)
	}
	if got := len(cluster.Documents("a")); got != 2 {
		t.Errorf("%d documents, want both", got)
	}
}

func TestDeadlineOfOneCallerIsNotThatOfTheBatch(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("the time limit of 100ms is over"))
	defer cancel()
	answers, release := underWay(t, e, cluster, ctx, into(t, "a", `{"n":1}`), into(t, "a", `{"n":2}`))
	if diff := cmp.Diff(lost("the time limit of 100ms is over"), failure(t, (<-answers[1]).err), comparable); diff != "" {
		t.Errorf("who left (-want +got):\n%s", diff)
	}
	release()
	if got := <-answers[0]; got.err != nil {
		t.Errorf("who stayed: %v", got.err)
	}
}

func TestBulkEndsWhenAllItsCallersWentAway(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			e, cluster := setupBatching(t, roomy, elastictest.Options{})
			ctx, leave := abandonable(t)
			first := occupy(t, e, cluster)
			cluster.Hold() // never released
			var answers []<-chan answer
			for range n {
				answers = append(answers, begin(ctx, e, into(t, "a", `{}`)))
			}
			awaitWaiting(t, e, int64(n))
			first()
			if err := cluster.Wait(t.Context(), 2); err != nil {
				t.Fatal(err)
			}
			leave()
			for _, a := range answers {
				if diff := cmp.Diff(lost("the caller went away"), failure(t, (<-a).err), comparable); diff != "" {
					t.Errorf("who left (-want +got):\n%s", diff)
				}
			}
			e.Close() // waits for the bulk
		})
	}
}

func TestCloseEndsWhatWaitsAndWaitsForWhatIsInFlight(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	answers, release := underWay(t, e, cluster, t.Context(), into(t, "a", `{}`), into(t, "a", `{}`))
	waits := join(t, e, into(t, "b", `{}`))
	closed := make(chan struct{})
	go func() {
		e.Close()
		close(closed)
	}()
	if diff := cmp.Diff(notSent("the worker is stopping"), failure(t, (<-waits[0]).err), comparable); diff != "" {
		t.Errorf("who waited (-want +got):\n%s", diff)
	}
	_, err := e.Execute(t.Context(), into(t, "b", `{}`))
	if diff := cmp.Diff(notSent("the worker is stopping"), failure(t, err), comparable); diff != "" {
		t.Errorf("who comes later (-want +got):\n%s", diff)
	}
	select {
	case <-closed:
		t.Error("Close returned while a bulk was in flight")
	default:
	}
	release()
	for _, a := range answers {
		if got := <-a; got.err != nil {
			t.Error(got.err)
		}
	}
	<-closed
	if got := cluster.Requests(); got != 2 {
		t.Errorf("%d requests, want 2", got)
	}
}

// What panics in a bulk is told where the pool hears of it.
func TestPanicInABulkIsThatOfEveryCaller(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	var broken atomic.Bool
	e.now = func() time.Time {
		if broken.Load() {
			panic("no clock")
		}
		return clock
	}
	first := occupy(t, e, cluster)
	caught := make(chan any, 2)
	for range 2 {
		j := into(t, "status-401", `{}`)
		go func() {
			defer func() { caught <- recover() }()
			_, _ = e.Execute(t.Context(), j)
		}()
	}
	awaitWaiting(t, e, 2)
	broken.Store(true)
	first()
	for range 2 {
		if v := <-caught; v != "no clock" {
			t.Errorf("panic %v", v)
		}
	}
	broken.Store(false)
	if _, err := e.Execute(t.Context(), into(t, "a", `{}`)); err != nil {
		t.Errorf("after the panic: %v", err)
	}
}

func TestManyCallersGetTheirOwnItems(t *testing.T) {
	t.Parallel()
	for _, inFlight := range []int{1, 3} {
		batching := roomy
		batching.InFlight, batching.Documents = inFlight, 40
		e, cluster := setupBatching(t, batching, elastictest.Options{})
		var all []<-chan answer
		var want []string
		for i := range 64 {
			ok := fmt.Sprintf(`{"n":%d}`, i)
			j, items := into(t, fmt.Sprintf("index-%d", i), ok+","+ok), fmt.Sprintf("index-%d 201,index-%d 201", i, i)
			if i%8 == 3 {
				j, items = into(t, "per-item", `{"status":400}`), ""
			}
			all = append(all, begin(t.Context(), e, j))
			want = append(want, items)
		}
		for i, a := range all {
			got := <-a
			if want[i] == "" {
				if f := failure(t, got.err); f.Unknown || !strings.Contains(f.ServiceMessage, "failed to parse field [n]") {
					t.Errorf("execution %d: %+v", i, f)
				}
				continue
			}
			if got.err != nil || items(t, got.data) != want[i] {
				t.Errorf("execution %d: %+v, want %s", i, got, want[i])
			}
		}
		stats := e.Stats()
		if stats.Executions != 64 || stats.Bulks != int64(cluster.Requests()) {
			t.Errorf("stats %+v, %d requests", stats, cluster.Requests())
		}
	}
}
