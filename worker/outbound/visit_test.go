package outbound

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// town is a layer with a clock of its own, and a server that answers as told.
type town struct {
	*Layer
	url   *url.URL
	clock time.Time // changed while nothing runs

	mu     sync.Mutex
	status int
	header string // Retry-After
	told   []string
}

func setupTown(t *testing.T) *town {
	t.Helper()
	w := &town{clock: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	server, _ := serve(t, func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.status == 0 { // never answers
			w.mu.Unlock()
			<-r.Context().Done()
			w.mu.Lock()
			return
		}
		if w.header != "" {
			rw.Header().Set("Retry-After", w.header)
		}
		rw.WriteHeader(w.status)
	})
	policy := open("127.0.0.0/8")
	policy.Paused = func(typeID, host string, left time.Duration) {
		w.told = append(w.told, fmt.Sprintf("%s %s %s", typeID, host, left))
	}
	w.Layer = setup(t, policy, nil)
	w.visits.now = func() time.Time { return w.clock }
	var err error
	if w.url, err = url.Parse(server.URL); err != nil {
		t.Fatal(err)
	}
	return w
}

// visit is an execution of one request.
func (w *town) visit(t *testing.T, status int, header string) {
	t.Helper()
	leave, err := w.Enter(".jira", w.url)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	w.request(t.Context(), status, header)
}

func (w *town) request(ctx context.Context, status int, header string) {
	w.mu.Lock()
	w.status, w.header = status, header
	w.mu.Unlock()
	_, _ = get(ctx, w.Layer, w.url.String())
}

// room returns how many executions get in at once.
func (w *town) room(t *testing.T) (n int) {
	t.Helper()
	for {
		leave, err := w.Enter(".jira", w.url)
		if errors.Is(err, ErrFull) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
		defer leave()
	}
}

func (w *town) pausedUntil(t *testing.T) (until time.Time) {
	t.Helper()
	leave, err := w.Enter(".jira", w.url)
	if err == nil {
		leave()
		return until
	}
	paused, ok := errors.AsType[*PausedError](err)
	if !ok || paused.Host != w.url.Host {
		t.Fatalf("Enter: %v", err)
	}
	return paused.Until
}

func TestRetryAfterHoldsForEveryVisit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status int
		header string
		want   time.Duration
	}{
		{429, "5", 5 * time.Second},
		{503, "5", 5 * time.Second},
		{429, "86400", maxPause},
		{429, "0", 0},
		{429, "", 0},
		{429, "soon", 0},
		{200, "5", 0},
		{500, "5", 0},
	} {
		w := setupTown(t)
		w.visit(t, test.status, test.header)
		want, told := time.Time{}, 0
		if test.want > 0 {
			want, told = w.clock.Add(test.want), 1
		}
		if got := w.pausedUntil(t); !got.Equal(want) {
			t.Errorf("%+v: paused until %s, want %s", test, got, want)
		}
		if text := fmt.Sprintf(".jira %s %s", w.url.Host, test.want); len(w.told) != told || told > 0 && w.told[0] != text {
			t.Errorf("%+v: told %q, want %d times %q", test, w.told, told, text)
		}
		w.clock = w.clock.Add(test.want - 1)
		if got := w.pausedUntil(t); test.want > 0 && got.IsZero() {
			t.Errorf("%+v: the pause ended early", test)
		}
		w.clock = w.clock.Add(1)
		if got := w.pausedUntil(t); !got.IsZero() {
			t.Errorf("%+v: the pause did not end", test)
		}
	}
}

// Many hear of one pause, and tell of it once.
func TestPauseIsToldOnce(t *testing.T) {
	t.Parallel()
	w := setupTown(t)
	leave, err := w.Enter(".jira", w.url)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	for range 5 {
		w.request(t.Context(), 429, "7")
		w.clock = w.clock.Add(time.Millisecond)
	}
	w.request(t.Context(), 429, "60")
	want := []string{fmt.Sprintf(".jira %s 7s", w.url.Host), fmt.Sprintf(".jira %s 1m0s", w.url.Host)}
	if fmt.Sprint(w.told) != fmt.Sprint(want) {
		t.Errorf("told %q, want %q", w.told, want)
	}
}

func TestWordOfAnotherWorkerHoldsForAMinute(t *testing.T) {
	t.Parallel()
	w := setupTown(t)
	for _, test := range []struct{ told, want time.Duration }{
		{-time.Second, 0}, {30 * time.Second, 30 * time.Second}, {10 * time.Second, 30 * time.Second}, {time.Hour, time.Minute},
	} {
		w.Pause(".jira", w.url.Host, test.told)
		want := time.Time{}
		if test.want > 0 {
			want = w.clock.Add(test.want)
		}
		if got := w.pausedUntil(t); !got.Equal(want) {
			t.Errorf("told %s: paused until %s, want %s", test.told, got, want)
		}
	}
	if len(w.told) > 0 {
		t.Errorf("told again: %q", w.told)
	}
}

func TestWordOfAWorkerOfAnotherTypeIsNotBelieved(t *testing.T) {
	t.Parallel()
	w := setupTown(t)
	leave, err := w.Enter(".jira", w.url)
	if err != nil {
		t.Fatal(err)
	}
	leave()
	w.Pause(".index", w.url.Host, time.Minute)
	if got := w.pausedUntil(t); !got.IsZero() {
		t.Errorf("paused until %s, want not at all", got)
	}
}

func TestDestinationGetsLessWhenItHasTooMuch(t *testing.T) {
	t.Parallel()
	w := setupTown(t)
	check := func(what string, want int) {
		t.Helper()
		if got := w.room(t); got != want {
			t.Errorf("%s: room for %d, want %d", what, got, want)
		}
	}
	check("nothing is known", firstVisits)
	w.visit(t, 200, "")
	check("one visit says nothing of many", firstVisits)
	second := func() { w.clock = w.clock.Add(time.Second) }
	for i, status := range []int{429, 503, 429} {
		second()
		w.visit(t, status, "")
		check(fmt.Sprint(status), firstVisits>>(i+1))
	}
	for _, status := range []int{200, 404, 500, 502, 302} {
		second()
		w.visit(t, status, "")
	}
	check("what is no sign of too much", firstVisits/8)
	for range 10 {
		second()
		w.visit(t, 429, "")
	}
	check("one is always let in", 1)
	for range 300 {
		w.visit(t, 200, "")
	}
	if got := w.room(t); got < 1 || got > 2 {
		t.Errorf("room for %d, want no more than twice what was tried", got)
	}
}

// Those that were under way together tell the same.
func TestLimitIsCutOnceForAllUnderWay(t *testing.T) {
	t.Parallel()
	l := NewLimit(64, 0)
	began := l.Cuts()
	for range 64 {
		l.Learn(TooMuch, 64, began)
	}
	if l.bears != 32 {
		t.Errorf("limit %v, want 32", l.bears)
	}
	for range 32 {
		l.Learn(Well, 32, l.Cuts())
	}
	if l.bears < 32.9 || l.bears > 33 {
		t.Errorf("limit %v after as many answers as it counts, want one more", l.bears)
	}
}

func TestLimitStaysBetweenOneAndItsMost(t *testing.T) {
	t.Parallel()
	l := NewLimit(4, 4)
	for range 100 {
		l.Learn(Well, 4, l.Cuts())
	}
	if l.Allows(4) || !l.Allows(3) {
		t.Errorf("limit %v, want 4", l.bears)
	}
	for range 5 {
		l.Learn(TooMuch, 1, l.Cuts())
	}
	if l.Allows(1) || !l.Allows(0) {
		t.Errorf("limit %v, want 1", l.bears)
	}
	for want := range 4 { // one a round
		if l.Allows(want+1) || !l.Allows(want) {
			t.Errorf("limit %v, want %d", l.bears, want+1)
		}
		for range want + 2 {
			l.Learn(Well, want+1, l.Cuts())
		}
	}
}

func TestDestinationThatIsTriedGetsMore(t *testing.T) {
	t.Parallel()
	w := setupTown(t)
	for range firstVisits / 2 {
		leave, err := w.Enter(".jira", w.url)
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
	}
	w.request(t.Context(), 200, "")
	if got, want := w.room(t), firstVisits/2+1; got != want {
		t.Errorf("room for %d more, want %d", got, want)
	}
}

func TestDestinationThatDoesNotAnswerGetsLess(t *testing.T) {
	t.Parallel()
	w := setupTown(t)
	leave, err := w.Enter(".jira", w.url)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	w.request(ctx, 0, "")
	leave()
	if got := w.room(t); got != firstVisits/2 {
		t.Errorf("room for %d, want %d", got, firstVisits/2)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	w.request(ctx, 0, "")
	if got := w.room(t); got != firstVisits/2 {
		t.Errorf("room for %d after a caller left, want %d", got, firstVisits/2)
	}
}

// An executor with a client of its own tells what it was asked, and hears all.
func TestWatchedDestinationTellsOfEveryPause(t *testing.T) {
	t.Parallel()
	w := setupTown(t)
	leave, err := w.Enter(".jira", w.url)
	if err != nil {
		t.Fatal(err)
	}
	var heard []time.Duration
	w.Watch(".jira", w.url.Host, func(until time.Time) { heard = append(heard, until.Sub(w.clock)) })
	ask := func(value string) { w.Asked(".index", w.url.Host, http.Header{"Retry-After": {value}}) }
	for _, value := range []string{"", "0", "-1", "soon", w.clock.Add(-time.Hour).Format(http.TimeFormat)} {
		ask(value)
	}
	ask("5")
	ask("3") // which is known
	w.Pause(".jira", w.url.Host, 30*time.Second)
	w.request(t.Context(), 429, "40") // of another executor
	ask(w.clock.Add(50 * time.Second).Format(http.TimeFormat))
	ask("86400")
	if want := []time.Duration{5 * time.Second, 30 * time.Second, 40 * time.Second, 50 * time.Second, maxPause}; fmt.Sprint(heard) != fmt.Sprint(want) {
		t.Errorf("heard %s, want %s", heard, want)
	}
	if got, want := w.pausedUntil(t), w.clock.Add(maxPause); !got.Equal(want) {
		t.Errorf("paused until %s, want %s", got, want)
	}
	if want := 4; len(w.told) != want || w.told[0] != ".index "+w.url.Host+" 5s" {
		t.Errorf("told %q, want %d beginning with 5s", w.told, want)
	}
	leave()
	for i := range 2 * maxKnown { // it is not forgotten
		w.Pause(".jira", fmt.Sprint("host-", i, ":443"), time.Second)
		w.clock = w.clock.Add(time.Second)
	}
	heard = nil
	ask("5")
	if len(heard) != 1 {
		t.Errorf("heard %s after many others, want one pause", heard)
	}
}

func TestKnownDestinationsAreBounded(t *testing.T) {
	t.Parallel()
	w := setupTown(t)
	for i := range 3 * maxKnown { // with nothing but words
		w.Pause(".jira", fmt.Sprint("host-", i, ":443"), time.Hour)
	}
	if got := len(w.visits.hosts); got != maxKnown {
		t.Errorf("%d destinations are known, want %d", got, maxKnown)
	}
	w.visit(t, 200, "") // one more works as if nothing were known
	w.clock = w.clock.Add(maxToldOf)
	w.visit(t, 429, "5")
	if got := len(w.visits.hosts); got != 1 || w.pausedUntil(t).IsZero() {
		t.Errorf("%d destinations are known after the pauses, want the one that is visited", got)
	}
}

func TestHostOfNamesADestination(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://Example.COM/a":      "example.com:443",
		"https://example.com.":       "example.com:443",
		"http://example.com":         "example.com:80",
		"https://example.com:8443/b": "example.com:8443",
		"http://[::1]:8080":          "[::1]:8080",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := HostOf(u); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

func TestPausedErrorTellsUntilWhen(t *testing.T) {
	t.Parallel()
	err := &PausedError{"example.com:443", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	if got := err.Error(); !strings.Contains(got, "example.com:443") || !strings.Contains(got, "2026-01-02T03:04:05Z") || !strings.Contains(got, "nothing was sent") {
		t.Errorf("error %q", got)
	}
}
