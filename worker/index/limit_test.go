package index

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"patchbay.dev/worker/index/elastictest"
	"patchbay.dev/worker/outbound"
)

// fourAtOnce has each execution in a bulk of its own.
var fourAtOnce = Batching{On: true, InFlight: 4, Bytes: 1 << 20, Documents: 1, Queue: 1 << 20}

// setupLimit is setupBatching with nothing sent again.
func setupLimit(t *testing.T, batching Batching) (*Executor, *elastictest.Server) {
	t.Helper()
	e, cluster := setupBatching(t, batching, elastictest.Options{})
	e.wait = func(context.Context, time.Duration) error { return errors.New("not now") }
	return e, cluster
}

// atOnce returns how many requests are in flight at the cluster when more want to be,
// and leaves everything as it was: they are given up before they are answered.
func atOnce(t *testing.T, e *Executor, cluster *elastictest.Server) int {
	t.Helper()
	const callers = 6
	defer cluster.Hold()()
	ctx, leave := abandonable(t)
	before := cluster.Requests()
	var answers []<-chan answer
	for range callers {
		answers = append(answers, begin(ctx, e, into(t, "any", `{}`)))
	}
	await(t, "all wait or are in flight", func() bool { return int(e.Stats().Waiting)+cluster.Requests()-before == callers })
	n := cluster.Requests() - before
	leave()
	for _, a := range answers {
		<-a
	}
	return n
}

// fourTogether runs four executions that are in flight together.
func fourTogether(t *testing.T, e *Executor, cluster *elastictest.Server, j job) {
	t.Helper()
	release := cluster.Hold()
	before := cluster.Requests()
	var answers []<-chan answer
	for range 4 {
		answers = append(answers, begin(t.Context(), e, j))
	}
	if err := cluster.Wait(t.Context(), before+4); err != nil {
		t.Fatal(err)
	}
	release()
	for _, a := range answers {
		<-a
	}
}

func TestBulksInFlightFollowWhatTheClusterBears(t *testing.T) {
	t.Parallel()
	e, cluster := setupLimit(t, fourAtOnce)
	check := func(what string, want int) {
		t.Helper()
		if got := atOnce(t, e, cluster); got != want {
			t.Errorf("%s: %d in flight, want %d", what, got, want)
		}
	}
	check("nothing is known", 4)
	fourTogether(t, e, cluster, into(t, "status-429", `{}`))
	check("refused together", 2)
	for range 3 {
		_, _ = e.Execute(t.Context(), into(t, "status-429", `{}`))
	}
	check("one is always sent", 1)
	for want := 2; want <= 4; want++ { // one more after a round
		for range 2 * want {
			var answers []<-chan answer
			release := cluster.Hold()
			before := cluster.Requests()
			for range want - 1 {
				answers = append(answers, begin(t.Context(), e, into(t, "any", `{}`)))
			}
			if err := cluster.Wait(t.Context(), before+want-1); err != nil {
				t.Fatal(err)
			}
			release()
			for _, a := range answers {
				if got := <-a; got.err != nil {
					t.Error(got.err)
				}
			}
			if got := atOnce(t, e, cluster); got == want {
				break
			} else if got != want-1 {
				t.Fatalf("%d in flight after a round, want %d or one more", got, want-1)
			}
		}
		check("a good round", want)
	}
	fourTogether(t, e, cluster, into(t, "any", `{}`))
	check("the setting is the most", 4)
}

func TestWhatSaysThatAClusterHasTooMuch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		index, documents string
		want             int // in flight then, of 4
	}{
		{"status-429", `{}`, 2},
		{"status-503", `{}`, 2},
		{"per-item", `{"status":429}`, 2},
		{"per-item", `{"status":429},{"status":503},{}`, 2},
		{"silent", `{}`, 2}, // until the caller's time is over
		{"per-item", `{"status":429},{}`, 4},
		{"per-item", `{"status":400}`, 4},
		{"status-400", `{}`, 4},
		{"status-401", `{}`, 4},
		{"status-500", `{}`, 4},
		{"status-502", `{}`, 4},
		{"reset", `{}`, 4},
		{"any", ``, 4},
	} {
		t.Run(test.index+" "+test.documents, func(t *testing.T) {
			t.Parallel()
			e, cluster := setupLimit(t, fourAtOnce)
			timeout := 10 * time.Second
			if test.index == "silent" {
				timeout = 20 * time.Millisecond
			}
			ctx, stop := context.WithTimeout(t.Context(), timeout)
			defer stop()
			_, _ = e.Execute(ctx, into(t, test.index, test.documents))
			if got := atOnce(t, e, cluster); got != test.want {
				t.Errorf("%d in flight, want %d", got, test.want)
			}
		})
	}
}

// Of a shared bulk too: by most of all its documents, and when the time of one of its
// callers is over, however long it lasts for the others.
func TestSharedBulkSaysThatAClusterHasTooMuch(t *testing.T) {
	t.Parallel()
	batching := roomy
	batching.InFlight = 2
	for name, test := range map[string]struct {
		documents string
		timeout   time.Duration
		want      int // of 2
	}{
		"few rejected":     {`{"status":429},{}`, time.Minute, 2},
		"most rejected":    {`{"status":429},{"status":429},{"status":429}`, time.Minute, 1},
		"one out of time":  {`{}`, 100 * time.Millisecond, 1},
		"one who went off": {`{}`, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, cluster := setupLimit(t, batching)
			defer occupy(t, e, cluster)() // one of two places
			ctx, leave := abandonable(t)
			if test.timeout > 0 {
				var stop context.CancelFunc
				ctx, stop = context.WithTimeout(ctx, test.timeout)
				defer stop()
			}
			answers, release := underWay(t, e, cluster, ctx, into(t, "a", `{}`), into(t, "per-item", test.documents))
			if test.timeout == time.Minute {
				release()
			}
			if test.timeout == 0 {
				leave()
			}
			<-answers[1]
			await(t, fmt.Sprintf("a limit of %d", test.want), func() bool { return limitOf(e) == test.want })
			release()
			<-answers[0]
		})
	}
}

func limitOf(e *Executor) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.limit.Allows(n) {
		n++
	}
	return n
}

func TestBulkOfOneWhoWaitedSaysThatAClusterHasTooMuch(t *testing.T) {
	t.Parallel()
	batching := roomy
	batching.InFlight = 2
	e, cluster := setupLimit(t, batching)
	defer occupy(t, e, cluster)()
	_, requests := together(t, e, cluster, into(t, "status-429", `{}`))
	await(t, "a limit of 1", func() bool { return limitOf(e) == 1 })
	if requests != 1 {
		t.Errorf("%d requests, want 1", requests)
	}
}

// What hangs since the limit was larger keeps other suspects waiting, and nobody else.
func TestLimitIsThatOfSuspectsToo(t *testing.T) {
	t.Parallel()
	batching := roomy
	batching.InFlight = 2
	e, _ := setupLimit(t, batching)
	b := e.batches
	leaves := func(target string) bool {
		t.Helper()
		b.mu.Lock()
		defer b.mu.Unlock()
		if !b.mayLeave(target) {
			return false
		}
		b.takeOff(target, nil).slow.Stop()
		return true
	}
	hanging := 0
	suspect := func() bool {
		b.mu.Lock()
		target := fmt.Sprint("red-", hanging)
		b.suspect(target)
		b.mu.Unlock()
		if !leaves(target) {
			return false
		}
		hanging++
		return true
	}
	for range 10 {
		suspect()
	}
	e.mu.Lock()
	e.limit.Learn(outbound.TooMuch, 0, e.limit.Cuts())
	e.mu.Unlock()
	if suspect() || hanging != 10 {
		t.Errorf("%d suspects left, want 10 and no more than 7 at a limit of 1", hanging)
	}
	if !leaves("healthy") || leaves("healthy") {
		t.Error("want one place for others")
	}
}
