package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

// accepting is a Submit that has the ledger accept lines, whose bodies are connectors'
// ids.
func (b *bundle) accepting(groups chan<- []Line) Submit {
	return func(ctx context.Context, space string, lines []Line) []error {
		if groups != nil {
			groups <- lines
		}
		batch := make([]ledger.Submission, len(lines))
		for i, l := range lines {
			batch[i] = ledger.Submission{
				ID: l.ID, Key: l.Key, Space: space, ConnectorID: string(l.Body), ConnectorName: "n", Type: ".index",
				MaxAttempts: 3, Params: []byte("{}"),
			}
		}
		errs := make([]error, len(lines))
		accepted, err := b.ledger.Accept(ctx, batch)
		for i := range errs {
			if errs[i] = err; err == nil {
				errs[i] = accepted[i].Err
			}
		}
		return errs
	}
}

func submit(t *testing.T, js jetstream.JetStream, body string, header nats.Header) {
	t.Helper()
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: "patchbay.v1.submit.default", Header: header, Data: []byte(body)}); err != nil {
		t.Fatal(err)
	}
}

func TestSubmissionsAreAcceptedInOrderAndRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := newCounter()
	b.run = c.run
	groups := make(chan []Line, 1000)
	b.submit = b.accepting(groups)
	js := jetStream(t, b.connect())
	b.start()
	wantStreams(t, js)
	submit(t, js, "c1", nats.Header{jetstream.MsgIDHeader: {"key 1"}, "traceparent": {"00-1-2-03"}, "tracestate": {"a=b"}})
	for range 49 {
		submit(t, js, "c1", nil)
	}
	var got []Line
	for len(got) < 50 {
		got = append(got, receive(t, groups)...)
	}
	ids := make([]string, len(got))
	seen := make(map[string]bool)
	for i, l := range got {
		ids[i], seen[l.ID] = l.ID, true
		if !strings.HasSuffix(l.ID, fmt.Sprintf("-%d", i+1)) || len(l.ID) > 64 {
			t.Errorf("line %d has the id %s", i, l.ID)
		}
	}
	want := Line{ID: got[0].ID, Key: "key 1", Body: []byte("c1"), Traceparent: "00-1-2-03", Tracestate: "a=b"}
	if diff := cmp.Diff(want, got[0]); diff != "" || len(seen) != 50 {
		t.Errorf("%d ids, and the first line (-want +got):\n%s", len(seen), diff)
	}
	b.allDone(ids)
	c.once(t, ids)
	wantHeld(t, js, submitStream, 0)
}

// A line whose acknowledgement was lost comes again, and is the execution that it was.
func TestSubmissionThatComesAgainIsAcceptedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.AckWait = 300 * time.Millisecond
	c := newCounter()
	b.run = c.run
	accept := b.accepting(nil)
	results := make(chan error, 10)
	ids := make(chan string, 10)
	b.submit = func(ctx context.Context, space string, lines []Line) []error {
		errs := accept(ctx, space, lines)
		ids <- lines[0].ID
		results <- errs[0]
		if errs[0] == nil {
			errs[0] = errors.New("the api was killed here") // after the commit
		}
		return errs
	}
	js := jetStream(t, b.connect())
	b.start()
	wantStreams(t, js)
	submit(t, js, "c1", nil)
	if err := receive(t, results); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, results); !errors.Is(err, ledger.ErrExists) {
		t.Errorf("the second time: %v, want %v", err, ledger.ErrExists)
	}
	first, second := receive(t, ids), receive(t, ids)
	if first != second {
		t.Errorf("ids %s and %s of one line", first, second)
	}
	wantHeld(t, js, submitStream, 0)
	b.allDone([]string{first})
	c.once(t, []string{first})
}

func TestStreamThatIsMadeAgainGivesOtherIDs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run = newCounter().run
	groups := make(chan []Line, 10)
	b.submit = b.accepting(groups)
	js := jetStream(t, b.connect())
	b.start()
	seen := make(map[string]bool)
	for range 2 {
		wantStreams(t, js)
		submit(t, js, "c1", nil)
		seen[receive(t, groups)[0].ID] = true
		wantHeld(t, js, submitStream, 0)
		b.wipe()
	}
	if len(seen) != 2 {
		t.Errorf("ids %v, want two", seen)
	}
}

// keyed is a log handler that tells what was said with which key.
type keyed struct {
	slog.Handler
	said chan string
}

func (k keyed) Handle(ctx context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "key" {
			k.said <- r.Message + ": " + a.Value.String()
		}
		return true
	})
	return k.Handler.Handle(ctx, r)
}

func TestLineThatCannotBeAcceptedIsTerminated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run = newCounter().run
	said := make(chan string, 10)
	b.log = slog.New(keyed{b.log.Handler(), said})
	b.submit = func(_ context.Context, _ string, lines []Line) []error {
		errs := make([]error, len(lines))
		for i, l := range lines {
			switch string(l.Body) {
			case "bad":
				lines[i].Key = "that of the body"
				errs[i] = fmt.Errorf("line: %w", &Refused{"no such connector"})
			case "reused":
				errs[i] = ledger.ErrKeyReused
			}
		}
		return errs
	}
	nc := b.connect()
	terminated := make(chan *nats.Msg, 10)
	if _, err := nc.ChanSubscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.PATCHBAY_SUBMIT.api", terminated); err != nil {
		t.Fatal(err)
	}
	js := jetStream(t, nc)
	b.start()
	wantStreams(t, js)
	for _, body := range []string{"good", "bad", "reused"} {
		submit(t, js, body, nats.Header{keyHeader: {"that of the header"}})
	}
	for _, want := range []struct{ reason, said string }{
		{"no such connector", "submission was refused: that of the body"},
		{ledger.ErrKeyReused.Error(), "submission was refused: that of the header"},
	} {
		if msg := receive(t, terminated); !strings.Contains(string(msg.Data), want.reason) {
			t.Errorf("the broker tells %s, want the reason %q", msg.Data, want.reason)
		}
		if got := receive(t, said); got != want.said {
			t.Errorf("the log says %q, want %q", got, want.said)
		}
	}
	wantHeld(t, js, submitStream, 0)
}

func TestFullQueueHoldsSubmissionsBackUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]ledger.Options{
		"in all": {MaxQueued: 5}, "of the connector": {MaxQueuedPerConnector: 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.openLedger(options)
			release := make(chan struct{})
			c := newCounter()
			b.run = func(ctx context.Context, job *ledger.Job) (wire.Reply, error) {
				<-release
				return c.run(ctx, job)
			}
			var mu sync.Mutex
			accepted, calls := make(map[string]bool), 0
			full := make(chan struct{}, 1000)
			accept := b.accepting(nil)
			b.submit = func(ctx context.Context, space string, lines []Line) []error {
				errs := accept(ctx, space, lines)
				mu.Lock()
				defer mu.Unlock()
				calls++
				for i, err := range errs {
					if err == nil {
						accepted[lines[i].ID] = true
					} else {
						full <- struct{}{}
					}
				}
				return errs
			}
			js := jetStream(t, b.connect())
			b.start()
			wantStreams(t, js)
			for range 12 {
				submit(t, js, "c1", nil)
			}
			receive(t, full)
			mu.Lock()
			if len(accepted) != 5 {
				t.Errorf("%d accepted, want as many as may be queued", len(accepted))
			}
			mu.Unlock()
			close(release)
			wantHeld(t, js, submitStream, 0)
			mu.Lock()
			defer mu.Unlock()
			if len(accepted) != 12 || calls > 60 {
				t.Errorf("%d accepted with %d questions, want 12, and few", len(accepted), calls)
			}
			for id := range accepted {
				b.allDone([]string{id})
			}
		})
	}
}

// As many lines as a broker lets be unsettled by itself are nothing: they are put off,
// and those of others pass.
func TestLinesOfAFullConnectorLetOthersPass(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.openLedger(ledger.Options{MaxQueuedPerConnector: 1})
	b.options.MaxSubmitted = 64 << 20
	release := make(chan struct{})
	ran := make(chan string, 10)
	b.run = func(_ context.Context, job *ledger.Job) (wire.Reply, error) {
		ran <- job.ConnectorID
		<-release
		return wire.Reply{}, nil
	}
	b.submit = b.accepting(nil)
	nc := b.connect()
	js := jetStream(t, nc)
	b.start()
	t.Cleanup(func() { close(release) })
	wantStreams(t, js)
	for range 5000 {
		if err := nc.Publish("patchbay.v1.submit.default", []byte("full")); err != nil {
			t.Fatal(err)
		}
	}
	submit(t, js, "other", nil)
	got := []string{receive(t, ran), receive(t, ran)}
	if diff := cmp.Diff([]string{"full", "other"}, got); diff != "" {
		t.Errorf("what was run (-want +got):\n%s", diff)
	}
}

func TestPublisherHearsThatTheStreamIsFull(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.MaxSubmitted = 4096
	b.submit = func(_ context.Context, _ string, lines []Line) []error {
		errs := make([]error, len(lines))
		for i := range errs {
			errs[i] = ledger.ErrDiskFull
		}
		return errs
	}
	b.run = newCounter().run
	js := jetStream(t, b.connect())
	b.start()
	wantStreams(t, js)
	for range 10 {
		_, err := js.Publish(t.Context(), "patchbay.v1.submit.default", make([]byte, 1000))
		if refusal, ok := errors.AsType[*jetstream.APIError](err); ok && refusal.ErrorCode == 10077 {
			return
		}
		if err != nil {
			t.Fatalf("Publish: %v", err)
		}
	}
	t.Error("10 lines of 1000 bytes fit in 4096")
}

// A submission may be as large as the broker takes.
func TestLargestSubmissionFitsIntoAPull(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.MaxSubmitted = 16 << 20
	b.run = newCounter().run
	groups := make(chan []Line, 10)
	b.submit = func(_ context.Context, _ string, lines []Line) []error {
		groups <- lines
		return make([]error, len(lines))
	}
	nc := b.connect()
	js := jetStream(t, nc)
	b.start()
	wantStreams(t, js)
	size := int(nc.MaxPayload())
	for range 3 {
		submit(t, js, strings.Repeat("x", size), nil)
	}
	for got := 0; got < 3; {
		for _, l := range receive(t, groups) {
			got++
			if len(l.Body) != size {
				t.Errorf("a body of %d bytes came as %d", size, len(l.Body))
			}
		}
	}
}
