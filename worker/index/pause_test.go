package index

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/index/elastictest"
)

// dateOf returns the date before which a failure advises not to try again.
func dateOf(t *testing.T, f *wire.Failure) time.Time {
	t.Helper()
	var at time.Time
	if raw, err := json.Marshal(f.Retry); err != nil || json.Unmarshal(raw, &at) != nil {
		t.Fatalf("retry %s, want a date", raw)
	}
	return at
}

// checkTurnedAway checks that an execution was not sent since the cluster wants to be
// left alone for at most so long.
func checkTurnedAway(t *testing.T, e *Executor, err error, most time.Duration) {
	t.Helper()
	f := failure(t, err)
	at := dateOf(t, f)
	if left := time.Until(at); left <= 0 || left > most {
		t.Errorf("retry in %s, want at most %s", left, most)
	}
	words := e.host + " asked for no requests until " + at.Format(time.RFC3339) + ": nothing was sent"
	want := &wire.Failure{Message: "error indexing documents", ServiceMessage: words, Retry: wire.RetryAt(at), Source: wire.User}
	if diff := cmp.Diff(want, f, comparable); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
}

// Whoever calls the cluster that asked for a pause is answered with its end, and
// nothing is sent.
func TestPauseHoldsForEveryoneWhoCallsTheCluster(t *testing.T) {
	t.Parallel()
	for name, batching := range map[string]Batching{"on": roomy, "off": {}} {
		for _, index := range []string{"status-429-in-5", "status-503-in-5"} {
			t.Run("batching "+name+" "+index, func(t *testing.T) {
				t.Parallel()
				e, cluster := setupBatching(t, batching, elastictest.Options{})
				_, err := e.Execute(t.Context(), into(t, index, `{}`))
				if got, want := failure(t, err).Retry, wire.RetryAt(clock.Add(5*time.Second)); got != want {
					t.Errorf("who heard it: retry %+v, want %+v", got, want)
				}
				for _, j := range []job{
					into(t, "any", `{}`), into(t, "any", ``), newJob(t, `{"index":"r","refresh":true}`, `{"documents":[{},{}]}`),
				} {
					_, err := e.Execute(t.Context(), j)
					checkTurnedAway(t, e, err, 5*time.Second)
				}
				if got := cluster.Requests(); got != 1 || e.Stats().TurnedAway != 3 {
					t.Errorf("%d requests and %+v, want 1 and 3 turned away", got, e.Stats())
				}
			})
		}
	}
}

func TestThoseWhoWaitAreToldOfAPauseAtOnce(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	release := occupy(t, e, cluster)
	answers := join(t, e, into(t, "a", `{}`), into(t, "b", `{}`))
	e.layer.Pause(".index", e.host, 5*time.Second)
	for _, a := range answers {
		got := <-a
		checkTurnedAway(t, e, got.err, 5*time.Second)
	}
	release() // what is under way goes on
	stats := e.Stats()
	if diff := cmp.Diff(Stats{Bulks: 1, Executions: 1, Documents: 1, TurnedAway: 2, Bytes: stats.Bytes, Sizes: [11]int64{1}}, stats); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

// As after a rejection, for at most two seconds and if then enough time is left.
func TestShortPauseIsWaitedOutByThoseWhoHaveTheTime(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	var waited []time.Duration
	e.wait = func(ctx context.Context, d time.Duration) error {
		waited = append(waited, d)
		return wait(ctx, d)
	}
	const pause = 300 * time.Millisecond
	e.layer.Pause(".index", e.host, pause)
	ctx, stop := context.WithTimeout(t.Context(), minLeft+pause/2)
	defer stop()
	_, err := e.Execute(ctx, into(t, "any", `{}`))
	checkTurnedAway(t, e, err, pause)
	if len(waited) > 0 {
		t.Errorf("who had too little time waited %s", waited)
	}
	if _, err := e.Execute(t.Context(), into(t, "any", `{}`)); err != nil {
		t.Error(err)
	}
	if len(waited) != 1 || waited[0] > pause || cluster.Requests() != 1 || e.Stats().Resent != 0 {
		t.Errorf("waited %s, %d requests, %+v; want one of each and nothing sent again", waited, cluster.Requests(), e.Stats())
	}
	if _, err := e.Execute(t.Context(), into(t, "any", `{}`)); err != nil || len(waited) != 1 {
		t.Errorf("after the pause: %v, waited %s", err, waited)
	}
	if !e.until.IsZero() {
		t.Error("the clock is read for every execution from now on")
	}
}

// Who was sent after a pause has the cluster's words, not those of the pause.
func TestRejectionAfterAPauseIsTold(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	e.layer.Pause(".index", e.host, 50*time.Millisecond)
	_, err := e.Execute(t.Context(), into(t, "status-429-in-5", `{}`))
	if f := failure(t, err); !strings.HasPrefix(f.ServiceMessage, "es_rejected_execution_exception") || f.Retry != wire.RetryAt(clock.Add(5*time.Second)) {
		t.Errorf("failure %+v", f)
	}
	if got := cluster.Requests(); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

// The halves of a bulk leave one after the other.
func TestPauseHoldsForTheRestOfABulk(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{MaxBody: 90})
	answers, requests := together(t, e, cluster, into(t, "status-429-in-5", `{}`), into(t, "a", `{}`))
	if f := failure(t, answers[0].err); !strings.Contains(f.ServiceMessage, "es_rejected_execution_exception") || dateOf(t, f).IsZero() {
		t.Errorf("who heard it: %+v", f)
	}
	checkTurnedAway(t, e, answers[1].err, 5*time.Second)
	if got := fmt.Sprint(requests, len(cluster.Documents("a"))); got != "2 0" {
		t.Errorf("requests and documents: %s, want 2 0", got)
	}
}

// Once it was rejected, the cluster's words stand, with the newest date.
func TestRejectionBeforeAPauseHasItsDate(t *testing.T) {
	t.Parallel()
	for _, documents := range []string{`{"status":429}`, `{},{"status":429}`} {
		e, cluster := setupBatching(t, roomy, elastictest.Options{})
		e.wait = func(context.Context, time.Duration) error {
			e.layer.Pause(".index", e.host, 5*time.Second)
			return nil
		}
		_, err := e.Execute(t.Context(), into(t, "per-item", documents))
		f := failure(t, err)
		if f.ServiceMessage != rejection || cluster.Requests() != 1 {
			t.Errorf("%s: %d requests, %+v", documents, cluster.Requests(), f)
		}
		if strings.HasPrefix(documents, `{},`) { // to run it again would write one twice
			if !f.Retry.IsZero() {
				t.Errorf("%s: retry %+v", documents, f.Retry)
			}
			continue
		}
		if left := time.Until(dateOf(t, f)); left <= 0 || left > 5*time.Second {
			t.Errorf("%s: retry in %s", documents, left)
		}
	}
}

func TestPauseThatIsOverHoldsNobody(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	e.layer.Pause(".index", e.host, -time.Second)
	e.layer.Pause(".index", e.host+"0", time.Minute) // another's
	if _, err := e.Execute(t.Context(), into(t, "any", `{}`)); err != nil || cluster.Requests() != 1 {
		t.Errorf("%v, %d requests", err, cluster.Requests())
	}
}
