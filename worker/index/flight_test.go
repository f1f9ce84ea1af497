package index

import (
	"strings"
	"testing"
	"time"

	"patchbay.dev/worker/index/elastictest"
)

// An index that hangs takes those down who are in its bulk when that shows, and
// nobody after them.
func TestIndexThatHangsIsKeptApart(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	e.patience = 20 * time.Millisecond
	ctx, leave := abandonable(t)
	var hanging []<-chan answer
	e.batches.mu.Lock() // so that they find each other
	e.batches.inFlight++
	e.batches.mu.Unlock()
	for i, index := range []string{"a", "silent", "b"} {
		hanging = append(hanging, begin(ctx, e, into(t, index, `{"n":1}`)))
		awaitWaiting(t, e, int64(i)+1)
	}
	e.batches.mu.Lock()
	e.batches.inFlight--
	e.batches.dispatch()
	e.batches.mu.Unlock()
	if err := cluster.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		hanging = append(hanging, begin(ctx, e, into(t, "silent", `{"n":2}`)))
	}
	if err := cluster.Wait(t.Context(), 2); err != nil { // when the bulk has lasted too long
		t.Fatal(err)
	}
	for range 5 {
		for _, index := range []string{"a", "b", "c"} {
			if _, err := e.Execute(t.Context(), into(t, index, `{"n":3}`)); err != nil {
				t.Errorf("%s: %v", index, err)
			}
		}
	}
	await(t, "all is sent", func() bool { return e.Stats().Waiting == 0 })
	for i, r := range cluster.Received()[1:] {
		if request := r.URI + string(r.Body); strings.Contains(request, "silent") && strings.Contains(request, `"n":3`) {
			t.Errorf("request %d is shared with the index that hangs: %s", i+1, request)
		}
	}
	await(t, "the others are no suspects any more", func() bool {
		if _, err := e.Execute(t.Context(), into(t, "a", `{}`)); err != nil {
			t.Error(err)
		}
		e.batches.mu.Lock()
		defer e.batches.mu.Unlock()
		return !e.batches.isSuspect("a") && e.batches.isSuspect("silent")
	})
	leave()
	for _, a := range hanging {
		if f := failure(t, (<-a).err); !f.Unknown {
			t.Errorf("in a bulk with the index that hangs: %+v", f)
		}
	}
}

// The rules without a clock: the test says when a flight lasts too long.
func TestSuspectsHaveOneBulkOnTrial(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	b := e.batches
	enter := func(target string) (*flight, *member) {
		t.Helper()
		f, m, now := b.enter(t.Context(), &execution{target: target, documents: into(t, target, `{}`).Params.Documents, now: clock})
		if now.err != nil {
			t.Fatal(now.err)
		}
		return f, m
	}
	state := func(want string) {
		t.Helper()
		b.mu.Lock()
		defer b.mu.Unlock()
		got := []string{strings.Repeat("place ", b.inFlight)}
		for _, target := range []string{"healthy", "red"} {
			if b.isSuspect(target) {
				got = append(got, target)
			}
			if b.suspects[target] != nil {
				got = append(got, "on trial")
			}
		}
		if got := strings.TrimSpace(strings.Join(got, " ")); got != want {
			t.Errorf("state %q, want %q", got, want)
		}
	}

	both, _ := enter("red")
	both.batch = []*member{{execution: &execution{target: "red"}}, {execution: &execution{target: "healthy"}}}
	state("place")
	both.delay()
	both.delay() // the place is given back once
	state("healthy red")

	red, _ := enter("red")
	healthy, _ := enter("healthy")
	other, _ := enter("other")
	state("place  healthy on trial red on trial") // beside which there is a place for others
	_, waits := enter("red")
	healthy.land()
	state("place  red on trial")

	red.delay()
	<-waits.done // it was the next on trial, and was quick
	await(t, "no suspects", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.suspects) == 0
	})
	state("place")
	red.land()
	both.land() // late, and of no more consequence
	state("place")
	other.land()
	state("")
	if got := cluster.Requests(); got != 1 {
		t.Errorf("%d requests, want that of who waited", got)
	}
}
