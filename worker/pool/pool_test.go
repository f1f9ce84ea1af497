package pool_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/pool"
	"patchbay.dev/worker/pool/pooltest"
)

// probe is a connector type whose executor a test supplies.
var probe = connector.Type[connector.None, connector.None, connector.None]{About: connector.About{ID: ".probe"}}

type job = pool.Job[connector.None, connector.None, connector.None]

type execute = func(context.Context, job) (json.RawMessage, error)

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

// bundle is a pool that runs one executor, and a client.
type bundle struct {
	pool *pool.Pool
	nc   *nats.Conn
}

func setup(t *testing.T, options pool.Options, run execute) *bundle {
	t.Helper()
	broker := pooltest.Broker(t)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	if options.Grace == 0 {
		options.Grace = patience
	}
	p, err := pool.Start(pooltest.Connect(t, broker), []pool.Handler{pool.Handle(probe, run)}, options, log)
	if err != nil {
		t.Fatal(err)
	}
	return &bundle{p, pooltest.Connect(t, broker)}
}

// send publishes a request with an execution id and returns where answers come.
func (b *bundle) send(t *testing.T, id string, timeLeft time.Duration) *nats.Subscription {
	t.Helper()
	body, err := json.Marshal(wire.Request{
		ExecutionID: id,
		Connector:   wire.Connector{Type: ".probe", Config: json.RawMessage(`{}`)},
		TimeLeft:    wire.Millis(timeLeft),
		Params:      json.RawMessage(`{}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.sendRaw(t, body)
}

func (b *bundle) sendRaw(t *testing.T, body []byte) *nats.Subscription {
	t.Helper()
	sub, err := b.nc.SubscribeSync(b.nc.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.nc.PublishRequest("patchbay.v1.execute.probe", sub.Subject, body); err != nil {
		t.Fatal(err)
	}
	return sub
}

// next returns the next answer: a signal, or a reply without its time.
func next(t *testing.T, sub *nats.Subscription) (signal string, reply wire.Reply) {
	t.Helper()
	msg, err := sub.NextMsg(patience)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	if signal := msg.Header.Get(wire.SignalHeader); signal != "" {
		return signal, wire.Reply{}
	}
	if err := json.Unmarshal(msg.Data, &reply); err != nil {
		t.Fatalf("answer %q: %v", msg.Data, err)
	}
	reply.RunMicros = 0
	return "", reply
}

// final returns the reply after any heartbeats.
func final(t *testing.T, sub *nats.Subscription) wire.Reply {
	t.Helper()
	for {
		if signal, reply := next(t, sub); signal == "" {
			return reply
		} else if signal != wire.Running {
			t.Fatalf("signal %q, want a reply", signal)
		}
	}
}

func TestRepliesTellWhatTheExecutorReturned(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	told := &wire.Failure{Message: "m", ServiceMessage: "s", Retry: wire.RetryAt(at), Source: wire.User, Unknown: true}
	for _, test := range []struct {
		name string
		run  execute
		want wire.Reply
	}{
		{"data", func(context.Context, job) (json.RawMessage, error) { return json.RawMessage(`{"n":1.0}`), nil },
			wire.Reply{Data: json.RawMessage(`{"n":1.0}`)}},
		{"no data", func(context.Context, job) (json.RawMessage, error) { return nil, nil }, wire.Reply{}},
		{"a failure as it stands", func(context.Context, job) (json.RawMessage, error) { return nil, told }, wire.Reply{Failure: told}},
		{"a failure that says too much",
			func(context.Context, job) (json.RawMessage, error) {
				return nil, &wire.Failure{ServiceMessage: strings.Repeat("x", 16<<10-1) + "é and more"}
			},
			wire.Reply{Failure: &wire.Failure{ServiceMessage: strings.Repeat("x", 16<<10-1) + "…"}}},
		{"another error", func(context.Context, job) (json.RawMessage, error) { return nil, errors.New("no luck") },
			wire.Reply{Failure: &wire.Failure{Message: "an error occurred while running the action", ServiceMessage: "no luck",
				Retry: wire.RetryLater(), Source: wire.Framework}}},
		{"a panic", func(context.Context, job) (json.RawMessage, error) { panic("secret") },
			wire.Reply{Failure: &wire.Failure{Message: "an error occurred while running the action",
				ServiceMessage: "the executor panicked, and it may have been carried out; the worker's log has the details",
				Retry:          wire.RetryNever(), Source: wire.Framework, Unknown: true}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, pool.Options{Slots: 1}, test.run)
			for range 2 { // the second shows that the first left the worker up
				got := final(t, b.send(t, "e", patience))
				if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(wire.Retry{})); diff != "" {
					t.Errorf("reply (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestUnreadableRequestIsAnswered(t *testing.T) {
	t.Parallel()
	b := setup(t, pool.Options{Slots: 1}, func(context.Context, job) (json.RawMessage, error) { return nil, nil })
	reply := final(t, b.sendRaw(t, []byte(`{"execution_id":`)))
	if reply.Failure == nil || !strings.HasPrefix(reply.Failure.ServiceMessage, "decode request: ") {
		t.Errorf("reply: %+v, want a failure to decode", reply)
	}
}

func TestFullWorkerAnswersBusyAtOnce(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	b := setup(t, pool.Options{Slots: 2}, func(context.Context, job) (json.RawMessage, error) {
		started <- struct{}{}
		<-release
		return nil, nil
	})
	first, second := b.send(t, "1", patience), b.send(t, "2", patience)
	<-started
	<-started
	if signal, _ := next(t, b.send(t, "3", patience)); signal != wire.Busy {
		t.Errorf("third of two slots: signal %q, want %q", signal, wire.Busy)
	}
	close(release)
	for _, sub := range []*nats.Subscription{first, second} {
		if reply := final(t, sub); reply.Failure != nil {
			t.Errorf("reply: %+v, want success", reply.Failure)
		}
	}
}

// A probe is answered although no slot is free, and runs nothing.
func TestExecutorWithoutRoomIsBusyAndItsSlotFree(t *testing.T) {
	t.Parallel()
	full := true
	b := setup(t, pool.Options{Slots: 1}, func(context.Context, job) (json.RawMessage, error) {
		if full {
			full = false
			return nil, fmt.Errorf("no room: %w", pool.ErrBusy)
		}
		return nil, nil
	})
	if signal, reply := next(t, b.send(t, "first", patience)); signal != wire.Busy {
		t.Errorf("signal %q, reply %+v, want %s", signal, reply, wire.Busy)
	}
	if got := final(t, b.send(t, "second", patience)); got.Failure != nil {
		t.Errorf("reply %+v, want success", got.Failure)
	}
}

func TestProbeIsAnsweredByAFullWorker(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}, 2), make(chan struct{})
	b := setup(t, pool.Options{Slots: 1}, func(context.Context, job) (json.RawMessage, error) {
		started <- struct{}{}
		<-release
		return nil, nil
	})
	sub := b.send(t, "1", patience)
	<-started
	probe := nats.NewMsg("patchbay.v1.execute.probe")
	probe.Header[wire.SignalHeader] = []string{wire.Probe}
	answer, err := b.nc.RequestMsg(probe, patience)
	if err != nil || answer.Header.Get(wire.SignalHeader) != wire.Probe {
		t.Errorf("answer: %+v, %v, want the signal %s", answer, err, wire.Probe)
	}
	close(release)
	final(t, sub)
	if len(started) > 0 {
		t.Error("the probe was run")
	}
}

func TestSlotIsFreeWhenTheReplyArrives(t *testing.T) {
	t.Parallel()
	b := setup(t, pool.Options{Slots: 1}, func(context.Context, job) (json.RawMessage, error) { return nil, nil })
	for range 500 {
		if signal, _ := next(t, b.send(t, "e", patience)); signal != "" {
			t.Fatalf("signal %q, want a reply", signal)
		}
	}
}

func TestLongJobIsHeardOf(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := setup(t, pool.Options{Slots: 1}, func(context.Context, job) (json.RawMessage, error) {
		<-release
		return nil, nil
	})
	sub := b.send(t, "e", patience)
	for range 2 {
		if signal, _ := next(t, sub); signal != wire.Running {
			t.Fatalf("signal %q, want %q", signal, wire.Running)
		}
	}
	close(release)
	if reply := final(t, sub); reply.Failure != nil {
		t.Errorf("reply: %+v, want success", reply.Failure)
	}
}

func TestJobEndsAtItsDeadline(t *testing.T) {
	t.Parallel()
	b := setup(t, pool.Options{Slots: 1}, func(ctx context.Context, _ job) (json.RawMessage, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	reply := final(t, b.send(t, "e", 20*time.Millisecond))
	if got, want := reply.Failure.ServiceMessage, "the time limit of 20ms is over"; got != want {
		t.Errorf("service message: %q, want %q", got, want)
	}
}

func TestAbandonedJobEnds(t *testing.T) {
	t.Parallel()
	started := make(chan struct{})
	b := setup(t, pool.Options{Slots: 2}, func(ctx context.Context, _ job) (json.RawMessage, error) {
		started <- struct{}{}
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	abandoned, other := b.send(t, "abandoned", patience), b.send(t, "other", patience)
	<-started
	<-started
	if err := b.nc.Publish("patchbay.v1.cancel.probe", []byte(abandoned.Subject)); err != nil {
		t.Fatal(err)
	}
	if got, want := final(t, abandoned).Failure.ServiceMessage, pool.ErrAbandoned.Error(); got != want {
		t.Errorf("service message: %q, want %q", got, want)
	}
	if err := b.nc.Publish("patchbay.v1.cancel.probe", []byte(other.Subject)); err != nil {
		t.Fatal(err)
	}
	final(t, other) // it was still there to be cancelled
}

func TestStopFinishesRunningJobsAndTakesNoMore(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	b := setup(t, pool.Options{Slots: 2}, func(context.Context, job) (json.RawMessage, error) {
		close(started)
		<-release
		return json.RawMessage(`"done"`), nil
	})
	sub := b.send(t, "e", patience)
	<-started
	stopped := make(chan error, 1)
	go func() { stopped <- b.pool.Stop() }()
	// The subscription ends although the job runs: then nobody answers any more.
	for deadline := time.Now().Add(patience); ; {
		_, err := b.nc.Request("patchbay.v1.execute.probe", nil, patience)
		if errors.Is(err, nats.ErrNoResponders) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("request after stop: %v, want %v", err, nats.ErrNoResponders)
		}
	}
	select {
	case err := <-stopped:
		t.Fatalf("Stop returned %v while a job was running", err)
	default:
	}
	close(release)
	if got := string(final(t, sub).Data); got != `"done"` {
		t.Errorf("data: %s, want %q", got, "done")
	}
	if err := <-stopped; err != nil {
		t.Errorf("Stop: %v", err)
	}
}

func TestStopEndsJobsThatOutlastTheGrace(t *testing.T) {
	t.Parallel()
	started := make(chan struct{})
	b := setup(t, pool.Options{Slots: 1, Grace: time.Millisecond}, func(ctx context.Context, _ job) (json.RawMessage, error) {
		close(started)
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	sub := b.send(t, "e", patience)
	<-started
	if err := b.pool.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if got, want := final(t, sub).Failure.ServiceMessage, pool.ErrStopping.Error(); got != want {
		t.Errorf("service message: %q, want %q", got, want)
	}
}

func TestReplyOverTheBrokersLimitIsUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t, pool.Options{Slots: 1}, func(context.Context, job) (json.RawMessage, error) {
		return json.RawMessage(`"` + strings.Repeat("x", 1<<20) + `"`), nil
	})
	reply := final(t, b.send(t, "e", patience))
	if reply.Outcome() != wire.Unknown || !strings.Contains(reply.Failure.ServiceMessage, "max_payload of 1048576 bytes") {
		t.Errorf("reply: %+v, want unknown, naming the limit", reply.Failure)
	}
}

func TestStopDoesNotWaitForABrokerThatIsAway(t *testing.T) {
	t.Parallel()
	broker := pooltest.Broker(t)
	nc := pooltest.Connect(t, broker, nats.MaxReconnects(-1))
	away := nc.StatusChanged(nats.RECONNECTING)
	run := func(context.Context, job) (json.RawMessage, error) { return nil, nil }
	p, err := pool.Start(nc, []pool.Handler{pool.Handle(probe, run)}, pool.Options{Slots: 1, Grace: patience}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	broker.Shutdown()
	<-away
	start := time.Now()
	if err := p.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second { // a drain gives up after 10 s
		t.Errorf("Stop took %s", took)
	}
}

func TestStartDoesNotWaitForABrokerThatIsAway(t *testing.T) {
	t.Parallel()
	broker := pooltest.Broker(t)
	nc := pooltest.Connect(t, broker, nats.MaxReconnects(-1), nats.ReconnectWait(time.Millisecond))
	away := nc.StatusChanged(nats.RECONNECTING)
	broker.Shutdown()
	<-away
	run := func(context.Context, job) (json.RawMessage, error) { return nil, nil }
	p, err := pool.Start(nc, []pool.Handler{pool.Handle(probe, run)}, pool.Options{Slots: 1, Grace: patience}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("Start: %v, want it to wait for the broker in the background", err)
	}
	if err := p.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// A cancel comes on another subscription than its job, and may overtake it.
func TestJobThatWasAbandonedBeforeItCameEnds(t *testing.T) {
	t.Parallel()
	b := setup(t, pool.Options{Slots: 1}, func(ctx context.Context, _ job) (json.RawMessage, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	for range 20 {
		inbox := b.nc.NewInbox()
		sub, err := b.nc.SubscribeSync(inbox)
		if err != nil {
			t.Fatal(err)
		}
		body := []byte(`{"connector":{"config":{}},"params":{},"time_left_ms":10000}`)
		for _, msg := range []*nats.Msg{
			{Subject: "patchbay.v1.cancel.probe", Data: []byte(inbox)},
			{Subject: "patchbay.v1.execute.probe", Reply: inbox, Data: body},
		} {
			if err := b.nc.PublishMsg(msg); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := final(t, sub).Failure.ServiceMessage, pool.ErrAbandoned.Error(); got != want {
			t.Fatalf("service message: %q, want %q", got, want)
		}
	}
}

func TestCallerWhoLeavesWhileTheWorkerStopsIsHeard(t *testing.T) {
	t.Parallel()
	started := make(chan struct{})
	b := setup(t, pool.Options{Slots: 1}, func(ctx context.Context, _ job) (json.RawMessage, error) {
		close(started)
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	sub := b.send(t, "e", patience)
	<-started
	stopped := make(chan error, 1)
	go func() { stopped <- b.pool.Stop() }()
	for { // until it takes no more
		if _, err := b.nc.Request("patchbay.v1.execute.probe", nil, patience); errors.Is(err, nats.ErrNoResponders) {
			break
		}
	}
	if err := b.nc.Publish("patchbay.v1.cancel.probe", []byte(sub.Subject)); err != nil {
		t.Fatal(err)
	}
	if got, want := final(t, sub).Failure.ServiceMessage, pool.ErrAbandoned.Error(); got != want {
		t.Errorf("service message: %q, want %q", got, want)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Stop: %v", err)
	}
}

func TestPanicIsToldWithoutItsText(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	broker := pooltest.Broker(t)
	run := func(context.Context, job) (json.RawMessage, error) { panic("s3cret") }
	p, err := pool.Start(pooltest.Connect(t, broker), []pool.Handler{pool.Handle(probe, run)},
		pool.Options{Slots: 1, Grace: patience}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{p, pooltest.Connect(t, broker)}
	final(t, b.send(t, "e", patience))
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "executor panicked") || strings.Contains(log.String(), "s3cret") {
		t.Errorf("log: %s\nwant the panic without its text", log.String())
	}
}
