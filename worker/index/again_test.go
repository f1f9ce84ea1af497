package index

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/index/elastictest"
	"patchbay.dev/worker/outbound"
)

// noPause makes e send again at once, and returns a channel of its pauses.
func noPause(e *Executor) <-chan time.Duration {
	pauses := make(chan time.Duration, 100)
	e.wait = func(_ context.Context, d time.Duration) error {
		pauses <- d
		return nil
	}
	return pauses
}

func TestRejectedDocumentsAndOnlyThoseAreSentAgain(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	pauses := noPause(e)
	if _, err := e.Execute(t.Context(), into(t, "crowded", `{"n":1}`)); err != nil {
		t.Fatal(err)
	}
	data, err := e.Execute(t.Context(), into(t, "crowded", `{"n":2},{"n":1},{"n":3},{"n":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Count(string(data), `"status":201`), 4; got != want || !strings.HasPrefix(string(data), `{"errors":false,"took":3,"items":[{"create":{"_index":"crowded","_id":"stand-in-00000000004"`) {
		t.Errorf("answer %s", data)
	}
	const act = "/crowded/_bulk?refresh=false\n"
	want := []string{
		act + action + `{"n":1}` + "\n", act + action + `{"n":1}` + "\n",
		act + action + `{"n":2}` + "\n" + action + `{"n":1}` + "\n" + action + `{"n":3}` + "\n" + action + `{"n":1}` + "\n",
		act + action + `{"n":2}` + "\n" + action + `{"n":3}` + "\n",
	}
	if diff := cmp.Diff(want, bodies(cluster, 0)); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	for range 2 {
		if d := <-pauses; d < backoff/2 || d > 3*backoff/2 {
			t.Errorf("pause of %s, want about %s", d, backoff)
		}
	}
	if got := e.Stats().Resent; got != 3 {
		t.Errorf("%d documents sent again, want 3", got)
	}
}

func TestNobodyElsesDocumentsAreSentAgain(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	noPause(e)
	answers, requests := together(t, e, cluster, into(t, "a", `{}`), into(t, "crowded", `{"n":1},{"n":2}`), into(t, "b", `{}`))
	for i, want := range []string{"a 201", "crowded 201,crowded 201", "b 201"} {
		if got := answers[i]; got.err != nil || items(t, got.data) != want {
			t.Errorf("execution %d: %+v, want %s", i, got, want)
		}
	}
	if got := len(cluster.Documents("a")) + len(cluster.Documents("b")) + len(cluster.Documents("crowded")); requests != 2 || got != 4 {
		t.Errorf("%d requests and %d documents, want 2 and 4", requests, got)
	}
}

func TestWholeRejectionIsSentAgain(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	noPause(e)
	if _, err := e.Execute(t.Context(), into(t, "crowded-whole", `{"n":1},{"n":2}`)); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(cluster.Requests(), len(cluster.Documents("crowded-whole"))); got != "2 2" {
		t.Errorf("requests and documents: %s, want 2 2", got)
	}
}

func TestRejectionsEndAfterSomeTries(t *testing.T) {
	t.Parallel()
	whole := "es_rejected_execution_exception\n\tRoot causes:\n\t\tes_rejected_execution_exception: " + rejection
	for _, test := range []struct {
		index, documents string
		want             *wire.Failure
	}{
		{"status-429", `{}`, &wire.Failure{ServiceMessage: whole, Retry: wire.RetryLater()}},
		{"per-item", `{"status":429},{"status":429}`, &wire.Failure{ServiceMessage: rejection + ";" + rejection, Retry: wire.RetryLater()}},
		{"per-item", `{},{"status":429}`, &wire.Failure{ServiceMessage: rejection}},
	} {
		e, cluster := setupBatching(t, roomy, elastictest.Options{})
		pauses := noPause(e)
		_, err := e.Execute(t.Context(), into(t, test.index, test.documents))
		if diff := cmp.Diff(ours(test.want), failure(t, err), comparable); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", test.index, test.documents, diff)
		}
		if got := cluster.Requests(); got != maxTries || len(pauses) != maxTries-1 {
			t.Errorf("%s: %d requests, %d pauses, want %d and one less", test.index, got, len(pauses), maxTries)
		}
		<-pauses
		if second := <-pauses; second < backoff || second > 3*backoff {
			t.Errorf("second pause of %s, want about %s", second, 2*backoff)
		}
	}
}

func TestRejectionWithTooLittleTimeIsAnswered(t *testing.T) {
	t.Parallel()
	in5 := wire.RetryAt(clock.Add(5 * time.Second))
	for _, test := range []struct {
		index string
		left  time.Duration
		want  wire.Retry
	}{
		{"status-429-in-5", time.Minute, in5}, // longer than a slot is held for
		{"status-429", minLeft, wire.RetryLater()},
		{"status-503", minLeft + backoff/2, wire.RetryLater()},
	} {
		e, cluster := setupBatching(t, roomy, elastictest.Options{})
		pauses := noPause(e)
		ctx, cancel := context.WithTimeout(t.Context(), test.left)
		_, err := e.Execute(ctx, into(t, test.index, `{}`))
		cancel()
		if got := failure(t, err); got.Retry != test.want || got.Unknown {
			t.Errorf("%s: %+v, want retry %+v", test.index, got, test.want)
		}
		if got := cluster.Requests(); got != 1 || len(pauses) > 0 {
			t.Errorf("%s: %d requests, want 1", test.index, got)
		}
	}
}

func TestCallerWhoLeavesInThePauseHasTheRejection(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	ctx, leave := abandonable(t)
	e.wait = func(ctx context.Context, _ time.Duration) error {
		leave()
		return wait(ctx, time.Hour)
	}
	_, err := e.Execute(ctx, into(t, "status-429", `{}`))
	if got := failure(t, err); got.Unknown || got.Retry != wire.RetryLater() {
		t.Errorf("failure %+v", got)
	}
	if got := cluster.Requests(); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

func TestWaitEnds(t *testing.T) {
	t.Parallel()
	if err := wait(t.Context(), time.Microsecond); err != nil {
		t.Error(err)
	}
}

// What stands before the cluster may have passed a 503 on, and is not asked again
// for a 429 either.
func TestOnlyTheClustersOwnRejectionIsSentAgain(t *testing.T) {
	t.Parallel()
	header := func(own bool) http.Header {
		if own {
			return http.Header{"X-Elastic-Product": {"Elasticsearch"}}
		}
		return http.Header{}
	}
	e := newExecutor(t, Config{})
	for _, test := range []struct {
		status int
		own    bool
		want   []int
	}{
		{429, true, []int{0, 1}}, {503, true, []int{0, 1}},
		{429, false, nil}, {503, false, nil}, {500, true, nil}, {413, true, nil}, {504, true, nil}, {401, true, nil},
	} {
		r := reply{response: response(test.status, header(test.own))}
		if diff := cmp.Diff(test.want, e.told(r, 2).rejected); diff != "" {
			t.Errorf("%d, own %t (-want +got):\n%s", test.status, test.own, diff)
		}
	}
}

func TestPauseHonoursRetryAfter(t *testing.T) {
	t.Parallel()
	const none = -1
	for header, want := range map[string]time.Duration{
		"": none, "soon": none, "-5": none, "0": none, "1": time.Second, "86400": 24 * time.Hour, "99999999999": 24 * time.Hour,
		clock.Add(7 * time.Second).Format(http.TimeFormat): 7*time.Second - 89_123_456, clock.Add(-time.Hour).Format(http.TimeFormat): none,
	} {
		got := pauseFor(1, outbound.RetryPause(header, clock))
		if want == none && (got < backoff/2 || got > 3*backoff/2) || want != none && got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

// What became of a second try, and what the caller is told then.
func TestSecondTry(t *testing.T) {
	t.Parallel()
	const (
		good     = `{"create":{"status":201}}`
		bad      = `{"create":{"status":400,"error":{"reason":"bad"}}}`
		rejected = `{"create":{"status":429,"error":{"reason":"full"}}}`
	)
	of := func(flag, items string) string { return `{"errors":` + flag + `,"took":1,"items":[` + items + `]}` }
	first := func(t *testing.T, answer string, n int) result {
		t.Helper()
		s, err := scan([]byte(answer), 0)
		if err != nil {
			t.Fatal(err)
		}
		return newExecutor(t, Config{}).ofShare(s.whole(), n)
	}
	full := ours(&wire.Failure{ServiceMessage: "full"})
	for _, test := range []struct {
		name  string
		again func(t *testing.T) result
		data  string
		want  *wire.Failure
		end   bool
	}{
		{"written", func(t *testing.T) result { return first(t, of("false", good), 1) }, of("false", good+","+good), nil, false},
		{"refused", func(t *testing.T) result { return first(t, of("true", bad), 1) }, "", ours(&wire.Failure{ServiceMessage: "bad"}), false},
		{"rejected again", func(t *testing.T) result { return first(t, of("true", rejected), 1) }, "", full, false},
		{"rejected as a whole", func(*testing.T) result { return result{err: refused("no"), rejected: []int{0}} }, "", full, false},
		{"turned away", func(*testing.T) result { return result{err: refused("paused"), rejected: []int{0}, unsent: true} }, "", full, false},
		{"not sent", func(*testing.T) result { return result{err: stopping()} }, "", full, true},
		{"not permitted any more", func(*testing.T) result { return result{err: refused("401")} }, "", full, true},
		{"lost", func(*testing.T) result { return result{err: unknown("EOF")} }, "", lost("EOF"), true},
		{"items left out", func(*testing.T) result { return result{data: []byte(of("false", ""))} }, "",
			lost("the cluster answered for 0 documents, 1 were sent"), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, end := newExecutor(t, Config{}).add(first(t, of("true", good+","+rejected), 2), test.again(t), 2)
			if test.want == nil {
				if got.err != nil || string(got.data) != test.data {
					t.Errorf("%s, %v, want %s", got.data, got.err, test.data)
				}
			} else if diff := cmp.Diff(test.want, failure(t, got.err), comparable); diff != "" {
				t.Errorf("failure (-want +got):\n%s", diff)
			}
			if end != test.end {
				t.Errorf("end %t, want %t", end, test.end)
			}
			if want := strings.HasPrefix(test.name, "rejected") || test.name == "turned away"; !end && want != (len(got.rejected) == 1 && got.rejected[0] == 1) {
				t.Errorf("rejected %v", got.rejected)
			}
		})
	}
}
