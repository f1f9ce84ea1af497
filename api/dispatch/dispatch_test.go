package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"patchbay.dev/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

// bundle is a Dispatcher, and a connection for a stand-in of a worker.
type bundle struct {
	*Dispatcher
	broker *server.Server
	worker *nats.Conn
}

func startBroker(t *testing.T, options *server.Options) *server.Server {
	t.Helper()
	options.DontListen, options.NoSigs, options.NoLog = true, true, true
	broker, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	t.Cleanup(func() { broker.Shutdown(); broker.WaitForShutdown() })
	return broker
}

func setup(t *testing.T) *bundle {
	t.Helper()
	broker := startBroker(t, &server.Options{MaxPayload: 4096})
	connect := func() *nats.Conn {
		nc, err := nats.Connect("", nats.InProcessServer(broker), nats.ReconnectBufSize(-1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	d, err := New(connect())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return &bundle{d, broker, connect()}
}

// serve answers requests with answer until the test ends. It returns when the
// broker knows.
func (b *bundle) serve(t *testing.T, answer func(*nats.Msg)) {
	t.Helper()
	if _, err := b.worker.QueueSubscribe("patchbay.v1.execute.probe", wire.QueueGroup, answer); err != nil {
		t.Fatal(err)
	}
	if err := b.worker.Flush(); err != nil {
		t.Fatal(err)
	}
}

func (b *bundle) ask(ctx context.Context, timeout time.Duration) (wire.Reply, error) {
	return b.Ask(ctx, &wire.Request{
		ExecutionID: "e", Space: "default",
		Connector: wire.Connector{ID: "c", Type: ".probe", Name: "n", Version: 3, Config: json.RawMessage(`{"a":1}`)},
		Params:    json.RawMessage(`{"b":1.0}`),
	}, nats.Header{"traceparent": {"00-1-2-03"}}, timeout)
}

func respond(t *testing.T, msg *nats.Msg, header nats.Header, body string) {
	if err := msg.RespondMsg(&nats.Msg{Header: header, Data: []byte(body)}); err != nil {
		t.Errorf("respond: %v", err)
	}
}

func signalHeader(signal string) nats.Header { return nats.Header{wire.SignalHeader: {signal}} }

func wantUnknown(t *testing.T, reply wire.Reply, err error, reason string) {
	t.Helper()
	if err != nil || reply.Outcome() != wire.Unknown || reply.Failure.Retry != wire.RetryNever() ||
		!strings.Contains(reply.Failure.ServiceMessage, reason) {
		t.Errorf("Ask: %+v, %v, want an unknown outcome, never to be retried, because %q", reply.Failure, err, reason)
		return
	}
	// Only a worker of which nothing is heard may have died of the execution.
	if want := reason == "not heard of any more"; reply.Failure.Silent != want {
		t.Errorf("because %q: silent is %t, want %t", reason, reply.Failure.Silent, want)
	}
}

func TestAskCarriesTheRequestAndTheReply(t *testing.T) {
	t.Parallel()
	b := setup(t)
	answered := make(chan struct{})
	b.serve(t, func(msg *nats.Msg) {
		var got wire.Request
		if err := json.Unmarshal(msg.Data, &got); err != nil {
			t.Errorf("request %s: %v", msg.Data, err)
		}
		if left := time.Duration(got.TimeLeft); left > 59*time.Second+900*time.Millisecond || left < 50*time.Second {
			t.Errorf("time left: %s, want a little less than 60s", left)
		}
		got.TimeLeft = 0
		want := wire.Request{
			ExecutionID: "e", Space: "default",
			Connector: wire.Connector{ID: "c", Type: ".probe", Name: "n", Version: 3, Config: json.RawMessage(`{"a":1}`)},
			Params:    json.RawMessage(`{"b":1.0}`),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(nats.Header{"traceparent": {"00-1-2-03"}}, msg.Header); diff != "" {
			t.Errorf("header (-want +got):\n%s", diff)
		}
		respond(t, msg, nil, `{"data":{"n":1.0}}`)
		respond(t, msg, nil, `{"data":"a second answer"}`)
		close(answered)
	})
	reply, err := b.ask(t.Context(), time.Minute)
	<-answered
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wire.Reply{Data: json.RawMessage(`{"n":1.0}`)}, reply); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
}

func TestEachCallerGetsItsOwnReply(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.serve(t, func(msg *nats.Msg) {
		var request wire.Request
		_ = json.Unmarshal(msg.Data, &request)
		go respond(t, msg, nil, `{"data":`+string(request.Params)+`}`)
	})
	var wg sync.WaitGroup
	for n := range 500 {
		wg.Go(func() {
			params := json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))
			reply, err := b.Ask(t.Context(), &wire.Request{Connector: wire.Connector{Type: ".probe", Config: json.RawMessage(`{}`)}, Params: params}, nil, patience)
			if err != nil || string(reply.Data) != string(params) {
				t.Errorf("Ask: %s, %v, want %s", reply.Data, err, params)
			}
		})
	}
	wg.Wait()
	if len(b.calls) != 0 {
		t.Errorf("%d calls are left", len(b.calls))
	}
}

func TestNobodyServesTheTypeIsToldAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fastest := time.Hour
	for range 5 { // one of them finds the machine idle
		start := time.Now()
		if _, err := b.ask(t.Context(), time.Minute); !errors.Is(err, ErrNoWorker) {
			t.Fatalf("Ask: %v, want %v", err, ErrNoWorker)
		}
		fastest = min(fastest, time.Since(start))
	}
	if fastest > 50*time.Millisecond {
		t.Errorf("took %s, want under 50ms", fastest)
	}
}

func TestBusyWorkerIsAskedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var left []wire.Millis
	b.serve(t, func(msg *nats.Msg) {
		var request wire.Request
		_ = json.Unmarshal(msg.Data, &request)
		if left = append(left, request.TimeLeft); len(left) < 5 {
			respond(t, msg, signalHeader(wire.Busy), "")
			return
		}
		respond(t, msg, nil, `{}`)
	})
	reply, err := b.ask(t.Context(), patience)
	if err != nil || reply.Failure != nil {
		t.Fatalf("Ask: %+v, %v, want success", reply, err)
	}
	for i := 1; i < len(left); i++ {
		if left[i] > left[i-1] {
			t.Errorf("times left: %v, want no increase", left)
		}
	}
}

func TestBusyUntilTimeIsUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.serve(t, func(msg *nats.Msg) { respond(t, msg, signalHeader(wire.Busy), "") })
	// On a machine that stands still at the wrong moment the last answer comes too
	// late, and what became of it is then truly unknown.
	for range 10 {
		if _, err := b.ask(t.Context(), 100*time.Millisecond); errors.Is(err, ErrBusy) {
			return
		}
	}
	t.Errorf("Ask never said %v", ErrBusy)
}

func TestCallerWhoLeavesWhileWorkersAreBusyIsNotSentAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.serve(t, func(msg *nats.Msg) {
		cancel()
		respond(t, msg, signalHeader(wire.Busy), "")
	})
	if _, err := b.ask(ctx, patience); !errors.Is(err, context.Canceled) {
		t.Errorf("Ask: %v, want %v", err, context.Canceled)
	}
}

func TestRequestOverTheBrokersLimitIsNotSent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sizes := make(chan int, 2)
	b.serve(t, func(msg *nats.Msg) {
		sizes <- len(msg.Data)
		respond(t, msg, nil, `{}`)
	})
	ask := func(padding int) error {
		_, err := b.Ask(t.Context(), &wire.Request{
			Connector: wire.Connector{Type: ".probe", Config: json.RawMessage(`{}`)},
			Params:    json.RawMessage(`"` + strings.Repeat("x", padding) + `"`),
		}, nil, patience) // 4 digits of time left
		return err
	}
	const large = 2048 // for how much of it is no params depends on that
	if err := ask(large); err != nil {
		t.Fatal(err)
	}
	room := large + 4096 - <-sizes
	if err := ask(room); err != nil {
		t.Errorf("request of 4096 bytes: %v, want success", err)
	}
	<-sizes
	err := ask(room + 1)
	if tooLarge, ok := errors.AsType[*TooLargeError](err); !ok || *tooLarge != (TooLargeError{Size: 4097, Limit: 4096}) {
		t.Errorf("request of 4097 bytes: %v, want a TooLargeError", err)
	}
	_, err = b.Ask(t.Context(), &wire.Request{Connector: wire.Connector{Type: ".probe", Config: json.RawMessage(`{}`)}},
		nats.Header{"tracestate": {strings.Repeat("x", 4096)}}, patience)
	if tooLarge, ok := errors.AsType[*TooLargeError](err); !ok || tooLarge.Size <= 4096 || tooLarge.Limit != 4096 {
		t.Errorf("request with 4096 bytes of headers: %v, want a TooLargeError", err)
	}
	if len(sizes) > 0 {
		t.Error("the request over the limit was sent")
	}
}

func TestDeadlineIsUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.serve(t, func(*nats.Msg) {})
	reply, err := b.ask(t.Context(), 50*time.Millisecond)
	wantUnknown(t, reply, err, "time was up")
}

func TestWorkerThatFallsSilentIsGivenUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.silence = time.Second
	heartbeats := make(chan struct{})
	b.serve(t, func(msg *nats.Msg) {
		go func() {
			defer close(heartbeats)
			for range 5 { // together longer than the silence that is allowed
				respond(t, msg, signalHeader(wire.Running), "")
				<-time.After(250 * time.Millisecond)
			}
		}()
	})
	reply, err := b.ask(t.Context(), time.Minute)
	select {
	case <-heartbeats:
	default:
		t.Error("given up while heartbeats came")
	}
	wantUnknown(t, reply, err, "not heard of any more")
}

func TestSilenceIsThreeHeartbeats(t *testing.T) {
	t.Parallel()
	if got, want := setup(t).silence, 3250*time.Millisecond; got != want {
		t.Errorf("silence: %s, want %s", got, want)
	}
}

func TestCallerWhoLeavesHasTheWorkerTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	told, err := b.worker.SubscribeSync("patchbay.v1.cancel.probe")
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	inbox := make(chan string, 1)
	b.serve(t, func(msg *nats.Msg) { inbox <- msg.Reply; cancel(gone) })
	if _, err := b.ask(ctx, patience); !errors.Is(err, gone) {
		t.Errorf("Ask: %v, want the context's cause", err)
	}
	msg, err := told.NextMsg(patience)
	if err != nil {
		t.Fatalf("cancel message: %v", err)
	}
	if got, want := string(msg.Data), <-inbox; got != want {
		t.Errorf("cancel message: %q, want the reply subject %q", got, want)
	}
}

func TestCallerWhoIsGoneAlreadyIsNotSent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.serve(t, func(msg *nats.Msg) { t.Error("a request arrived"); respond(t, msg, nil, `{}`) })
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, err := b.ask(ctx, patience); !errors.Is(err, gone) {
		t.Errorf("Ask: %v, want the context's cause", err)
	}
	if err := b.worker.Flush(); err != nil {
		t.Fatal(err)
	}
}

func TestCallerIsToldWhenTheAPIStops(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	b.serve(t, func(*nats.Msg) { cancel(ErrStopping) })
	reply, err := b.ask(ctx, patience)
	wantUnknown(t, reply, err, ErrStopping.Error())
}

func TestCallerWhoWaitsForAFreeWorkerIsToldWhenTheAPIStops(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	asked := 0
	b.serve(t, func(msg *nats.Msg) {
		respond(t, msg, signalHeader(wire.Busy), "")
		if asked++; asked == 3 {
			cancel(ErrStopping)
		}
	})
	for { // the stop may also meet a request under way, whose outcome is then unknown
		reply, err := b.ask(ctx, patience)
		if err == nil && reply.Outcome() == wire.Unknown {
			continue
		}
		if !errors.Is(err, ErrStopping) {
			t.Errorf("Ask: %+v, %v, want %v", reply, err, ErrStopping)
		}
		return
	}
}

func TestBrokerThatWasNeverThere(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	nc, err := nats.Connect("nats://"+silent.Addr().String(), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ReconnectBufSize(-1), nats.Timeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	d, err := New(nc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if _, err := (&bundle{Dispatcher: d}).ask(t.Context(), time.Minute); !errors.Is(err, ErrDisconnected) {
		t.Errorf("Ask: %v, want %v", err, ErrDisconnected)
	}
}

func TestUnreadableReplyIsUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.serve(t, func(msg *nats.Msg) { respond(t, msg, nil, `{"data":`) })
	reply, err := b.ask(t.Context(), patience)
	wantUnknown(t, reply, err, "could not be read")
}

func TestBrokerThatDies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const callers = 20
	received := make(chan struct{}, callers)
	b.serve(t, func(*nats.Msg) { received <- struct{}{} })
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			reply, err := b.ask(t.Context(), time.Minute)
			wantUnknown(t, reply, err, "connection to the broker broke")
		})
	}
	for range callers {
		<-received
	}
	b.broker.Shutdown()
	wg.Wait()                                                       // a minute if the loss were not noticed
	large := json.RawMessage(`"` + strings.Repeat("x", 5000) + `"`) // for the broker that was there
	for _, lost := range []bool{true, false} {                      // false: nobody has heard of it yet
		d := b.Dispatcher
		d.lost.Store(lost)
		_, err := d.Ask(t.Context(), &wire.Request{Connector: wire.Connector{Type: ".probe", Config: json.RawMessage(`{}`)}, Params: large}, nil, time.Minute)
		if !errors.Is(err, ErrDisconnected) {
			t.Errorf("Ask without a broker for much: %v, want %v", err, ErrDisconnected)
		}
	}
	if _, err := b.ask(t.Context(), time.Minute); !errors.Is(err, ErrDisconnected) {
		t.Errorf("Ask without a broker: %v, want %v at once", err, ErrDisconnected)
	}
}
