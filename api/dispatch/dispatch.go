// Package dispatch asks a worker over NATS to run a connector, and knows what
// silence means.
//
// An error of this package says that nothing was run. Whatever may have been run
// is a [wire.Reply], with an unknown outcome where no worker's word settles it.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
)

// Errors of [Dispatcher.Ask], all of which say that nothing was run; the others
// are a *[TooLargeError] and the context's own.
var (
	// ErrNoWorker: no worker serves the connector's type.
	ErrNoWorker = errors.New("no worker is running for this connector type")
	// ErrBusy: every worker that was asked was busy until time was up.
	ErrBusy = errors.New("all workers were busy")
	// ErrDisconnected: the broker cannot be reached.
	ErrDisconnected = errors.New("not connected to the broker")
)

// ErrStopping is the cause with which the context of a caller ends who is still
// there to hear what is known.
var ErrStopping = errors.New("the api was stopped while the execution was running")

// TooLargeError says that a request is larger than the broker takes.
type TooLargeError struct {
	Size, Limit int64 // bytes
}

// Error names the broker's limit.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("request of %d bytes is larger than the broker's max_payload of %d bytes", e.Size, e.Limit)
}

const (
	// silence is how long nothing may be heard of a running execution.
	silence = wire.FirstHeartbeat + wire.MissedHeartbeats*wire.HeartbeatInterval
	// leastTry is the time that must be left to ask a busy worker again: if its
	// answer came after the deadline, the outcome would be unknown for nothing.
	leastTry = 20 * time.Millisecond
	// lostGrace is how long an answer may still come after the connection to the
	// broker broke: a worker keeps its replies through a short break.
	lostGrace = time.Second
)

// Dispatcher sends executions to workers. It is safe for concurrent use.
type Dispatcher struct {
	nc      *nats.Conn
	inbox   string // prefix of reply subjects, with its last dot
	sub     *nats.Subscription
	status  chan nats.Status
	silence time.Duration
	wg      sync.WaitGroup
	checked atomic.Bool // the broker was asked what it allows
	lost    atomic.Bool // the connection was, when last heard of
	waiting waiting
	pipes   pipes
	buffers wire.Buffers

	mu    sync.Mutex
	last  uint64           // the youngest call's number
	calls map[string]*call // in flight, by the last part of their reply subjects
}

// New returns a Dispatcher that uses nc, which should have no reconnect buffer
// (nats.ReconnectBufSize(-1)): what cannot be sent at once is refused at once.
// Where the broker knows users, its inboxes must begin with [wire.InboxPrefix].
func New(nc *nats.Conn) (*Dispatcher, error) {
	d := &Dispatcher{
		nc:      nc,
		inbox:   nc.NewInbox() + ".",
		status:  nc.StatusChanged(nats.DISCONNECTED, nats.RECONNECTING, nats.CLOSED),
		silence: silence,
		calls:   make(map[string]*call),
	}
	d.lost.Store(true) // or not yet there
	sub, err := nc.Subscribe(d.inbox+"*", d.receive)
	if err == nil {
		// What waits here is bounded by the calls in flight; the default limits would
		// drop replies when many large ones come together.
		err = sub.SetPendingLimits(-1, -1)
	}
	if err != nil {
		nc.RemoveStatusListener(d.status)
		return nil, fmt.Errorf("subscribe to replies: %w", err)
	}
	d.sub = sub
	d.wg.Go(d.watch)
	return d, nil
}

// Close stops receiving. Calls in flight end at their deadlines.
func (d *Dispatcher) Close() error {
	d.nc.RemoveStatusListener(d.status) // closes it
	d.wg.Wait()
	if err := d.sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("unsubscribe from replies: %w", err)
	}
	return nil
}

// Ask has req run by one worker and returns its reply. timeout is the time for
// all of it, busy workers and retries included; header may carry trace context.
// When ctx ends first, the worker is told to stop and the error is the context's
// cause. If that is [ErrStopping], the reply is unknown; as an error it says, as
// any other here, that nothing was run.
func (d *Dispatcher) Ask(ctx context.Context, req *wire.Request, header nats.Header, timeout time.Duration) (wire.Reply, error) {
	subject, err := wire.Subject(req.Connector.Type)
	if err != nil {
		return wire.Reply{}, err
	}
	size := requestSize + len(req.Connector.Config) + len(req.Params) + (len(req.Connector.Secrets)+len(req.SealedParams))*4/3
	msg, err := d.ask(ctx, question{subject, req.Connector.Type, header, req.Connector.ID, size, func(b []byte, left time.Duration) []byte {
		req.TimeLeft = wire.Millis(left)
		return req.Append(b)
	}}, timeout)
	if lost, ok := errors.AsType[lostError](err); ok {
		reply := unknown(string(lost))
		reply.Failure.Silent = lost == silent
		return reply, nil
	}
	if err != nil {
		return wire.Reply{}, err
	}
	return replyOf(msg.Data), nil
}

// replyOf reads a worker's answer.
func replyOf(data []byte) wire.Reply {
	reply, err := wire.DecodeReply(data)
	if err != nil {
		return unknown("the worker's answer could not be read: " + err.Error())
	}
	return reply
}

// requestSize is the room for what a request holds besides its raw parts.
const requestSize = 512

// question is what one worker is asked.
type question struct {
	subject   string
	typeID    string // of the workers
	header    nats.Header
	connector string                                    // who waits together, while workers are busy
	size      int                                       // bytes
	within    func(b []byte, left time.Duration) []byte // appends it
}

// lostError says why no answer came to a question that was published.
type lostError string

func (e lostError) Error() string { return string(e) }

// silent is the lostError that the execution itself may be to blame for.
const silent lostError = "the worker was not heard of any more"

// ask asks until a worker that is not busy answers. A lostError says that one
// may have taken it; any other error, that none did.
func (d *Dispatcher) ask(ctx context.Context, q question, timeout time.Duration) (*nats.Msg, error) {
	deadline := time.Now().Add(timeout)
	t := turn{waiting: &d.waiting, connector: q.connector, size: q.size}
	defer t.end()
	for first := true; ; first = false {
		if first && d.waiting.stuck(q.connector) {
			if err := t.next(ctx, deadline); err != nil {
				return nil, err
			}
		}
		answer, err := d.try(ctx, q, deadline)
		if err == nil {
			d.waiting.answered(q.connector)
		}
		if !errors.Is(err, ErrBusy) {
			return answer, err
		}
		if err := t.next(ctx, deadline); err != nil {
			return nil, err
		}
	}
}

// try publishes a question once and waits for what comes of it.
func (d *Dispatcher) try(ctx context.Context, q question, deadline time.Time) (*nats.Msg, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err // nobody waits for it any more
	}
	// Asked first: a connection that is being made blocks those who want to use it,
	// and does not know the broker's limits.
	if !d.isConnected() {
		return nil, ErrDisconnected
	}
	heard, err := d.pipes.to(q.typeID).enter(ctx, q.size, deadline)
	if err != nil {
		return nil, err
	}
	defer heard()
	c := d.open()
	defer d.close(c)
	reply := d.inbox + c.token
	if err := d.publish(q, reply, time.Until(deadline)); err != nil {
		return nil, err
	}
	answer, err := d.await(ctx, c, deadline, heard)
	if ctx.Err() != nil {
		d.cancel(q.typeID, reply)
	}
	return answer, err
}

// publish publishes a question that may take so much time. If it returns an error,
// it did not.
func (d *Dispatcher) publish(q question, reply string, left time.Duration) error {
	b := d.buffers.Get(q.size)
	defer d.buffers.Put(b) // the connection copies what is published
	// The worker's time ends a little before ours, so that its word on what it
	// was doing at the deadline still reaches the caller.
	*b = q.within(*b, left-min(left/20, 250*time.Millisecond))
	msg := &nats.Msg{Subject: q.subject, Reply: reply, Header: q.header, Data: *b}
	switch err := d.nc.PublishMsg(msg); {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload) && !d.nc.IsConnected(): // it is the limit of a broker that is gone
		return ErrDisconnected
	case errors.Is(err, nats.ErrMaxPayload):
		size, limit := int64(len(*b)), d.nc.MaxPayload()
		if size <= limit { // headers count too
			size = int64(msg.Size())
		}
		return &TooLargeError{Size: size, Limit: limit}
	default:
		return fmt.Errorf("%w: %w", ErrDisconnected, err)
	}
}

// await waits until the answer to c comes, or something else settles it. It calls
// heard when a worker says that it has the question.
func (d *Dispatcher) await(ctx context.Context, c *call, deadline time.Time, heard func()) (*nats.Msg, error) {
	timer := time.NewTimer(min(time.Until(deadline), d.silence))
	defer timer.Stop()
	for {
		select {
		case msg := <-c.answers:
			if msg == nil {
				return nil, lostError("the connection to the broker broke before the worker answered")
			}
			if !running(msg) {
				return settle(msg)
			}
			heard()
			timer.Reset(min(time.Until(deadline), d.silence))
		case <-timer.C:
			if len(c.answers) > 0 {
				timer.Reset(0) // what came in time counts, also if we are late to look
				continue
			}
			if time.Until(deadline) <= 0 {
				return nil, lostError("time was up before the worker answered")
			}
			return nil, silent
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), ErrStopping) {
				if len(c.answers) > 0 {
					continue // the caller is still there to hear it
				}
				return nil, lostError(ErrStopping.Error())
			}
			return nil, context.Cause(ctx)
		}
	}
}

// cancel tells the workers that nobody waits for a reply any more. It is a favour:
// if it is lost, the worker stops at the deadline.
func (d *Dispatcher) cancel(typeID, reply string) {
	if subject, err := wire.CancelSubject(typeID); err == nil {
		_ = d.nc.Publish(subject, []byte(reply))
	}
}

// settle tells an answer from what says that nobody took the question.
func settle(msg *nats.Msg) (*nats.Msg, error) {
	if msg.Header.Get("Status") == "503" && len(msg.Data) == 0 { // NATS: no responders
		return nil, ErrNoWorker
	}
	if signal(msg) == wire.Busy {
		return nil, ErrBusy
	}
	return msg, nil
}

// unknown is the reply to an execution of which nobody can say what became.
func unknown(reason string) wire.Reply {
	return wire.Reply{Failure: &wire.Failure{
		Message:        "an error occurred while running the action",
		ServiceMessage: "the outcome is unknown: " + reason + ", and it may have been carried out",
		Retry:          wire.RetryNever(),
		Source:         wire.Framework,
		Unknown:        true,
	}}
}
