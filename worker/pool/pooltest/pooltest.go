// Package pooltest is the conformance suite that every executor passes: it obeys
// its context, answers on garbage, caps what a destination sends, leaks no
// goroutine and shows no secret.
package pooltest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/pool"
)

// Executor describes an executor to the suite. Every request needs only config,
// params and, if the type has any, secrets as they are, not sealed.
type Executor struct {
	// New returns a handler with a fresh executor that logs to log, and a
	// function that ends whatever the executor started.
	New func(t *testing.T, log *slog.Logger) (handler pool.Handler, end func())
	// Good goes well.
	Good wire.Request
	// Hanging goes to a destination that takes the request and never answers.
	// Nil if the type has no destination, as for all the fields below.
	Hanging *wire.Request
	// Flooding goes to a destination that answers far more than the limit.
	Flooding *wire.Request
	// Failing go to destinations that refuse in every way there is, some of them
	// repeating the credentials that they were sent.
	Failing []wire.Request
	// Secrets are strings that appear in no answer and no log line, however the
	// execution ends.
	Secrets []string
}

// maxAnswer bounds a reply to Flooding: a few times the limit of a destination's
// answer that New should set.
const maxAnswer = 1 << 20

// patience is how long the suite waits for what should come at once.
const patience = 10 * time.Second

// garbage is JSON that is no type's params or config.
var garbage = []string{
	`null`, `true`, `0`, `"text"`, `[]`, `[{}]`, `{"no":"such key"}`, `""`, `"{"`,
	strings.Repeat(`[`, 64) + strings.Repeat(`]`, 64),
	strings.Repeat(`{"a":`, 64) + `1` + strings.Repeat(`}`, 64),
}

// Run runs the suite.
func Run(t *testing.T, e Executor) {
	leaks := goleak.IgnoreCurrent()
	log := new(lockedBuffer)
	s := start(t, e, log)

	t.Run("AnswersGood", func(t *testing.T) {
		if reply := s.ask(t, e.Good); reply.Failure != nil {
			t.Errorf("reply: %+v, want success", reply.Failure)
		}
	})
	t.Run("RefusesGarbageParams", func(t *testing.T) {
		for _, raw := range garbage {
			request := e.Good
			request.Params = json.RawMessage(raw)
			s.refuses(t, request, "error validating action params: ", wire.User)
		}
	})
	t.Run("RefusesGarbageConfig", func(t *testing.T) {
		for _, raw := range garbage {
			request := e.Good
			request.Connector.Config = json.RawMessage(raw)
			s.refuses(t, request, "error validating action type config: ", wire.Framework)
		}
	})
	if e.Hanging != nil {
		t.Run("EndsAtTheDeadline", func(t *testing.T) {
			request := *e.Hanging
			request.TimeLeft = wire.Millis(100 * time.Millisecond)
			start := time.Now()
			if got := s.ask(t, request).Outcome(); got != wire.Unknown {
				t.Errorf("outcome: %s, want %s: the destination took the request", got, wire.Unknown)
			}
			if took := time.Since(start); took > 2*time.Second { // no deadline of the executor's own
				t.Errorf("took %s, want little more than 100ms", took)
			}
		})
		t.Run("EndsWhenAbandoned", func(t *testing.T) { s.abandon(t, *e.Hanging) })
	}
	if e.Flooding != nil {
		t.Run("CapsTheAnswer", func(t *testing.T) {
			if n := len(s.askRaw(t, *e.Flooding)); n > maxAnswer {
				t.Errorf("reply of %d bytes, want at most %d", n, maxAnswer)
			}
		})
	}
	if len(e.Failing) > 0 {
		t.Run("TellsOfEveryFailure", func(t *testing.T) {
			for i, request := range e.Failing {
				if reply := s.ask(t, request); reply.Failure == nil || reply.Failure.Message == "" {
					t.Errorf("failing request %d: reply %+v, want a failure with a message", i, reply)
				}
			}
		})
	}
	if len(e.Secrets) > 0 {
		t.Run("ShowsNoSecret", func(t *testing.T) {
			for _, secret := range e.Secrets {
				if strings.Contains(s.replies.String(), secret) {
					t.Errorf("a reply contains %q:\n%s", secret, s.replies.String())
				}
				if strings.Contains(log.String(), secret) {
					t.Errorf("the log contains %q:\n%s", secret, log.String())
				}
			}
		})
	}
	s.stop()
	if err := goleak.Find(leaks); err != nil {
		t.Errorf("goroutines are left after the pool stopped: %v", err)
	}
}

// suite is a pool with one executor, and a client.
type suite struct {
	nc      *nats.Conn
	subject string
	replies lockedBuffer
	stop    func()
	n       int
}

func start(t *testing.T, e Executor, log *lockedBuffer) *suite {
	t.Helper()
	broker := Broker(t)
	workerConn := Connect(t, broker)
	handler, end := e.New(t, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug - 4})))
	p, err := pool.Start(workerConn, []pool.Handler{handler}, pool.Options{
		Slots: 4, Grace: patience, Hosts: connector.AllHosts(),
		Open: func(_ string, c *wire.Connector) ([]byte, error) { return c.Secrets, nil }, // not sealed here
	}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := wire.Subject(handler.Type())
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{nc: Connect(t, broker), subject: subject}
	s.stop = sync.OnceFunc(func() {
		if err := p.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		end()
		workerConn.Close()
		s.nc.Close()
		broker.Shutdown()
		broker.WaitForShutdown()
	})
	t.Cleanup(s.stop)
	return s
}

// askRaw returns the last answer to a request, heartbeats left out.
func (s *suite) askRaw(t *testing.T, request wire.Request) []byte {
	t.Helper()
	return s.await(t, s.send(t, &request))
}

func (s *suite) ask(t *testing.T, request wire.Request) wire.Reply {
	t.Helper()
	var reply wire.Reply
	if err := json.Unmarshal(s.askRaw(t, request), &reply); err != nil {
		t.Fatalf("decode reply: %v", err)
	}
	return reply
}

func (s *suite) send(t *testing.T, request *wire.Request) *nats.Subscription {
	t.Helper()
	s.n++
	request.ExecutionID = fmt.Sprintf("execution-%d", s.n)
	if request.TimeLeft == 0 {
		request.TimeLeft = wire.Millis(patience)
	}
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	inbox := s.nc.NewInbox()
	sub, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.nc.PublishRequest(s.subject, inbox, body); err != nil {
		t.Fatal(err)
	}
	return sub
}

func (s *suite) await(t *testing.T, sub *nats.Subscription) []byte {
	t.Helper()
	defer func() { _ = sub.Unsubscribe() }()
	for {
		msg, err := sub.NextMsg(patience)
		if err != nil {
			t.Fatalf("no reply: %v", err)
		}
		if msg.Header.Get(wire.SignalHeader) == "" {
			_, _ = s.replies.Write(msg.Data)
			return msg.Data
		}
	}
}

func (s *suite) refuses(t *testing.T, request wire.Request, prefix string, source wire.Source) {
	t.Helper()
	failure := s.ask(t, request).Failure
	if failure == nil || !strings.HasPrefix(failure.Message, prefix) || failure.Source != source || failure.Retry != wire.RetryNever() {
		t.Errorf("params %s, config %s:\n got %+v\nwant a message that begins with %q, source %s, retry never",
			request.Params, request.Connector.Config, failure, prefix, source)
	}
}

// abandon waits until the job is running for certain, which its first heartbeat
// tells, and then goes away.
func (s *suite) abandon(t *testing.T, request wire.Request) {
	sub := s.send(t, &request)
	msg, err := sub.NextMsg(patience)
	if err != nil || msg.Header.Get(wire.SignalHeader) != wire.Running {
		t.Fatalf("first answer: %+v, %v, want the signal %s", msg, err, wire.Running)
	}
	subject := strings.Replace(s.subject, ".execute.", ".cancel.", 1)
	if err := s.nc.Publish(subject, []byte(sub.Subject)); err != nil {
		t.Fatal(err)
	}
	var reply wire.Reply
	if err := json.Unmarshal(s.await(t, sub), &reply); err != nil {
		t.Fatal(err)
	}
	if got := reply.Outcome(); got != wire.Unknown {
		t.Errorf("outcome: %s, want %s: the destination took the request", got, wire.Unknown)
	}
}

// lockedBuffer is a buffer that many goroutines write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
