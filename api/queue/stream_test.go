package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

// Whatever the broker loses while executions wait and run, each is run, and once.
func TestWhatTheBrokerLosesIsMadeAgain(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(b *bundle, js jetstream.JetStream) error{
		"nothing, it starts again": func(b *bundle, _ jetstream.JetStream) error { b.stop(); b.broker.start(); return nil },
		"everything":               func(b *bundle, _ jetstream.JetStream) error { b.wipe(); return nil },
		"the stream": func(_ *bundle, js jetstream.JetStream) error {
			return js.DeleteStream(context.Background(), queueStream)
		},
		"the consumer": func(_ *bundle, js jetstream.JetStream) error {
			return js.DeleteConsumer(context.Background(), queueStream, "index")
		},
		"the stream of submissions": func(_ *bundle, js jetstream.JetStream) error {
			return js.DeleteStream(context.Background(), submitStream)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			js := jetStream(t, b.connect())
			c := newCounter()
			begun, release := make(chan struct{}, 1000), make(chan struct{})
			b.run = func(ctx context.Context, job *ledger.Job) (wire.Reply, error) {
				begun <- struct{}{}
				if job.ConnectorID == "slow" {
					<-release
				}
				return c.run(ctx, job)
			}
			ids := append(b.accept("slow", 100), b.accept("fast", 300)...)
			b.start()
			for range 100 {
				receive(t, begun)
			}
			if err := lose(b, js); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, b.accept("fast", 100)...)
			close(release)
			b.allDone(ids)
			c.once(t, ids)
			wantStreams(t, js)
		})
	}
}

// until asks again and again, until deadline: nothing tells. What was asked of a broker
// that went away is answered by nobody.
func until(t *testing.T, what func(ctx context.Context) error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		err := what(ctx)
		stop()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// wantStreams waits until everything is there again.
func wantStreams(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	for _, c := range [][2]string{{queueStream, "index"}, {queueStream, "server-log"}, {queueStream, "jira"}, {submitStream, "api"}} {
		until(t, func(ctx context.Context) error {
			_, err := js.Consumer(ctx, c[0], c[1])
			return err
		})
	}
}

// wantHeld waits until a stream holds so many messages.
func wantHeld(t *testing.T, js jetstream.JetStream, name string, want uint64) {
	t.Helper()
	until(t, func(ctx context.Context) error {
		s, err := js.Stream(ctx, name)
		if err != nil {
			return err
		}
		if got := s.CachedInfo().State.Msgs; got != want {
			return fmt.Errorf("%s holds %d messages, want %d", name, got, want)
		}
		return nil
	})
}

func TestStreamsAndConsumersAreAsTheyShouldBe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	js := jetStream(t, b.connect())
	wantStreams(t, js)
	type about struct {
		Subjects  string
		Retention jetstream.RetentionPolicy
		Storage   jetstream.StorageType
		Discard   jetstream.DiscardPolicy
		MaxBytes  int64
	}
	for name, want := range map[string]about{
		queueStream:  {"patchbay.v1.queue.*", jetstream.WorkQueuePolicy, jetstream.FileStorage, jetstream.DiscardNew, -1},
		submitStream: {"patchbay.v1.submit.*", jetstream.WorkQueuePolicy, jetstream.FileStorage, jetstream.DiscardNew, 1 << 20},
	} {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		c := s.CachedInfo().Config
		got := about{strings.Join(c.Subjects, " "), c.Retention, c.Storage, c.Discard, c.MaxBytes}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	c, err := js.Consumer(t.Context(), queueStream, "server-log")
	if err != nil {
		t.Fatal(err)
	}
	got := c.CachedInfo().Config
	if got.FilterSubject != "patchbay.v1.queue.server-log" || got.AckPolicy != jetstream.AckExplicitPolicy ||
		got.AckWait != b.options.AckWait || got.MaxDeliver != -1 || got.BackOff != nil {
		t.Errorf("the consumer of .server-log is %+v", got)
	}
}

// lines counts what is logged, by message.
type lines struct {
	slog.Handler
	said chan string
}

func (l lines) Handle(ctx context.Context, r slog.Record) error {
	l.said <- r.Message
	return l.Handler.Handle(ctx, r)
}

func TestBrokerWithoutJetStreamIsReportedOnceAndTriedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *server.Options) { o.JetStream = false })
	c := newCounter()
	b.run = c.run
	said := make(chan string, 100)
	b.log = slog.New(lines{b.log.Handler(), said})
	ids := b.accept("c1", 10)
	asked := make(chan time.Time, 100)
	b.start(func(q *Queue) {
		q.random = func(d time.Duration) time.Duration {
			asked <- time.Now()
			return d
		}
	})
	for range 4 { // pauses
		receive(t, asked)
	}
	if got := receive(t, said); got != "queued executions wait until this is settled" || len(said) > 0 {
		t.Errorf("the log says %q and %d further lines, want one line", got, len(said))
	}
	b.stop()
	b.broker.options.JetStream = true
	b.broker.start()
	b.allDone(ids)
	c.once(t, ids)
	for receive(t, said) != "queued executions are run again" { // between them: that it is disconnected
		continue
	}
}

// The api may do what the comment of this package lists, and nothing else.
func TestListedPermissionsAreEnough(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "api", Password: "p", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Allow: []string{
					"patchbay.v1.queue.*",
					"$JS.API.STREAM.UPDATE.PATCHBAY_QUEUE", "$JS.API.STREAM.CREATE.PATCHBAY_QUEUE",
					"$JS.API.STREAM.UPDATE.PATCHBAY_SUBMIT", "$JS.API.STREAM.CREATE.PATCHBAY_SUBMIT",
					"$JS.API.CONSUMER.CREATE.PATCHBAY_QUEUE.*.patchbay.v1.queue.*", "$JS.API.CONSUMER.CREATE.PATCHBAY_SUBMIT.api",
					"$JS.API.CONSUMER.MSG.NEXT.PATCHBAY_QUEUE.*", "$JS.API.CONSUMER.MSG.NEXT.PATCHBAY_SUBMIT.api",
					"$JS.ACK.PATCHBAY_QUEUE.>", "$JS.ACK.PATCHBAY_SUBMIT.api.>",
				}},
				Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_api.>"}},
			}},
			{Username: "producer", Password: "p"},
		}
	})
	c := newCounter()
	b.run = c.run
	submitted := make(chan Line, 10)
	b.submit = func(_ context.Context, _ string, lines []Line) []error {
		for _, l := range lines {
			submitted <- l
		}
		return make([]error, len(lines))
	}
	js := jetStream(t, b.connect(nats.UserInfo("producer", "p")))
	refused := make(chan error, 10)
	b.startOn(b.connect(nats.UserInfo("api", "p"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			refused <- err
		}
	})))
	b.allDone(b.accept("c1", 50))
	if _, err := js.Publish(t.Context(), "patchbay.v1.submit.default", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	receive(t, submitted)
	b.wipe()
	b.allDone(b.accept("c1", 50))
	wantHeld(t, js, queueStream, 0)
	select {
	case err := <-refused:
		t.Error(err)
	default:
	}
}

func TestBrokerThatIsWipedAgainAndAgainLosesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := newCounter()
	b.run = c.run
	ids := append(b.accept("a", 1000), b.accept("b", 1000)...)
	b.start()
	for range 6 {
		for range 100 {
			receive(t, c.ran)
		}
		b.wipe()
	}
	b.allDone(ids)
	c.once(t, ids)
}

// A broker that is killed does not say so, and another one in its place knows nothing.
func TestConnectionThatMovesIsNoticedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	nc := b.connect()
	b.startOn(nc)
	wantStreams(t, jetStream(t, b.connect()))
	other := startBroker(t)
	b.mu.Lock()
	other.running, b.running = b.running, other.running
	b.mu.Unlock()
	moved := time.Now()
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	wantStreams(t, jetStream(t, b.connect()))
	if took := time.Since(moved); took > 9*time.Second { // missing heartbeats are noticed after 10
		t.Errorf("it took %s", took)
	}
}
