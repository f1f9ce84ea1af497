package ledger

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
)

func record(id string) Record {
	return Record{
		ID: id, Space: "default", ConnectorID: "alerts", ConnectorName: `Ärger "in" the 'shop'; --`, Type: ".index", Bytes: 12,
		TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", Attempt: Attempt{
			Number: 1, Last: true, DueAt: epoch, StartedAt: epoch.Add(time.Millisecond), EndedAt: epoch.Add(time.Second),
			Queue: time.Millisecond, Dispatch: 2 * time.Millisecond, Run: 3 * time.Millisecond, Outcome: wire.Error, Worker: "worker-1",
			Failure: &wire.Failure{Message: "日本 'no'", ServiceMessage: "503 \x00", Retry: wire.RetryNever(), Source: wire.Framework},
		},
	}
}

func TestLoggedExecutionIsOneRow(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	r := record("a")
	l.Log(r)
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := Execution{
		Seq: 1, ID: "a", Space: "default", ConnectorID: "alerts", ConnectorName: r.ConnectorName, Type: ".index", State: Done,
		Outcome: wire.Error, CreatedAt: epoch, QueuedAt: epoch, EndedAt: r.Attempt.EndedAt, Attempt: r.Attempt, MaxAttempts: 1, Bytes: 12,
		TraceID: r.TraceID,
	}
	got, attempts := l.mustGet(t, "a")
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("logged (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Attempt{r.Attempt}, attempts, same); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
	l.wantRows(t, "execution", 1)
	for _, table := range []string{"attempt", "payload", "answer"} {
		l.wantRows(t, table, 0)
	}
	reply, err := l.Answer(t.Context(), &got)
	if diff := cmp.Diff(wire.Reply{Failure: r.Attempt.Failure}, reply, same); diff != "" || err != nil {
		t.Errorf("answer (-want +got):\n%s%v", diff, err)
	}
}

func TestLogIsWrittenWithoutBeingAsked(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	l.Log(record("a"))
	deadline := time.Now().Add(10 * time.Second)
	for l.log.settled() < 1 { // nothing signals; far more than the interval
		if time.Now().After(deadline) {
			t.Fatal("not written")
		}
		time.Sleep(5 * time.Millisecond)
	}
	l.mustGet(t, "a")
}

func TestLogNeverWaitsAndCountsWhatItDrops(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	release := l.hold(t)
	r := record("")
	for range 2*maxRecords + 10 { // the writing goroutine has taken none or one buffer
		l.Log(r)
	}
	release()
	if err := l.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if got := l.Stats().Dropped; got != maxRecords+10 {
		t.Errorf("dropped %d, want %d", got, maxRecords+10)
	}
}

func TestCloseWritesTheLog(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	for i := range 3000 {
		r := record(strings.Repeat("x", i%50+1) + string(rune('a'+i%26)) + time.Duration(i).String())
		l.Log(r)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, l.dir, Options{}).wantRows(t, "execution", 3000)
}

func TestTextsAreCapped(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]string{
		"long":          strings.Repeat("a", 10_000),
		"at the edge":   strings.Repeat("a", maxText),
		"cut character": strings.Repeat("a", maxText-1) + "日本",
		"no UTF-8":      "a\xff\xfeb",
		"grows":         strings.Repeat("\xffa", maxText),
		"both":          strings.Repeat("日\xff", maxText),
	} {
		got := text(s)
		if len(got) > maxText || !utf8.ValidString(got) || len(got) < min(len(s), maxText)-utf8.UTFMax {
			t.Errorf("%s: %d bytes, valid %t", name, len(got), utf8.ValidString(got))
		}
	}
	l := setup(t, Options{})
	r := record("a")
	r.Attempt.Failure = &wire.Failure{Message: strings.Repeat("日", 5000), ServiceMessage: "\xff" + strings.Repeat("x", 5000)}
	l.Log(r)
	if err := l.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	e, _ := l.mustGet(t, "a")
	if f := e.Attempt.Failure; len(f.Message) != 2046 || len(f.ServiceMessage) != 2048 || !utf8.ValidString(f.ServiceMessage) {
		t.Errorf("%d and %d bytes", len(f.Message), len(f.ServiceMessage))
	}
}
