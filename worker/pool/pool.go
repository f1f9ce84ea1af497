// Package pool runs executions for the broker: slots, deadlines, panics and
// drain. It knows no vendor.
package pool

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
)

// Options configure a [Pool].
type Options struct {
	Slots int // executions at once; more are answered busy
	// DestinationSlots is how many of them one destination may hold; 0 for no limit
	// but its fair share.
	DestinationSlots int
	Grace            time.Duration   // how long running executions may last once the pool stops
	Hosts            connector.Hosts // where connectors may lead
	Name             string          // of the process, told in every reply; "" for none
	// Open returns the secrets of a connector that has sealed ones. Its error is
	// told to the caller.
	Open func(space string, c *wire.Connector) ([]byte, error)
	// OpenParams returns the params of a request that has sealed ones, as Open does
	// secrets.
	OpenParams func(req *wire.Request) ([]byte, error)
	// Reseal seals secrets anew and returns as many results; nil if nobody can.
	Reseal func(items []wire.Sealed) []wire.Resealed
	// Observe returns, for a type, who hears of the end of each of its executions,
	// before the caller does; it must not block. Nil for nobody.
	Observe func(typeID string) func(End)
}

// Pool takes executions from the broker and runs them, each in a goroutine and
// at most [Options.Slots] at once. No connector and no destination gets all of them.
type Pool struct {
	nc      *nats.Conn
	options Options
	log     *slog.Logger
	types   []string             // ids
	subs    []*nats.Subscription // of executions
	cancel  []*nats.Subscription // of callers who leave

	connected chan nats.Status
	watching  sync.WaitGroup
	checked   atomic.Bool // the broker was asked what it allows

	ctx     context.Context //nolint:containedctx // ends when running executions must end
	stop    context.CancelCauseFunc
	reading atomic.Int64 // requests that are being read: whose they are shows only then
	shares  shares
	beats   *beats
	buffers wire.Buffers
	jobs    sync.WaitGroup

	mu      sync.Mutex
	cancels map[string]context.CancelCauseFunc // by reply subject, which no two jobs share
	early   early
}

// Reasons for which the context of an execution ends, besides its deadline.
var (
	ErrAbandoned = errors.New("the caller went away")
	ErrStopping  = errors.New("the worker is stopping")
)

// Start subscribes to the executions of every handler's type. When it returns,
// the broker sends them here, or will once nc is connected.
func Start(nc *nats.Conn, handlers []Handler, options Options, log *slog.Logger) (*Pool, error) {
	p := &Pool{nc: nc, options: options, log: log, cancels: make(map[string]context.CancelCauseFunc)}
	p.shares = shares{slots: options.Slots, destination: cmp.Or(options.DestinationSlots, options.Slots),
		connectors: make(map[string]int), destinations: make(map[string]int)}
	p.ctx, p.stop = context.WithCancelCause(context.Background())
	for _, h := range handlers {
		p.types = append(p.types, h.typeID)
	}
	p.beats = startBeats(func(msg *nats.Msg) { p.signal(msg, wire.Running) })
	p.watch()
	for _, h := range handlers {
		if err := errors.Join(p.subscribe(h), p.subscribeReseal(h)); err != nil {
			return nil, errors.Join(err, p.Stop())
		}
	}
	// The connection subscribes by itself when it comes (back); only one that is
	// there can be asked whether the broker has heard.
	if nc.IsConnected() {
		if err := p.check(); err != nil && nc.IsConnected() {
			return nil, errors.Join(err, p.Stop())
		}
	}
	return p, nil
}

func (p *Pool) subscribe(h Handler) error {
	if p.options.Observe != nil {
		h.observe = p.options.Observe(h.typeID)
	}
	subject, err := wire.Subject(h.typeID)
	if err != nil {
		return err
	}
	cancel, err := wire.CancelSubject(h.typeID)
	if err != nil {
		return err
	}
	run, err := p.nc.QueueSubscribe(subject, wire.QueueGroup, func(msg *nats.Msg) { p.take(h, msg) })
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	p.subs = append(p.subs, run)
	abandon, err := p.nc.Subscribe(cancel, func(msg *nats.Msg) { p.abandon(string(msg.Data)) })
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", cancel, err)
	}
	p.cancel = append(p.cancel, abandon)
	// The callbacks do not block, so that little waits; but a few large requests
	// are more than the default limits, and would be dropped.
	return errors.Join(run.SetPendingLimits(-1, -1), abandon.SetPendingLimits(-1, -1))
}

// leastTime is the time that must be left to begin an execution: whatever it sent
// with less, its answer would come too late.
const leastTime = 5 * time.Millisecond

// take has msg run or answered busy. It runs on the subscription's goroutine and
// must not block.
func (p *Pool) take(h Handler, msg *nats.Msg) {
	if p.isProbe(msg) {
		return
	}
	// As many again as there are slots: more come faster than they can be read.
	if p.reading.Add(1) > int64(p.options.Slots) {
		p.reading.Add(-1)
		p.busy(h, msg)
		return
	}
	// From here on, also while it waits to be read: a large one may wait for seconds.
	beat := p.beats.begin(msg)
	p.jobs.Go(func() {
		makeRoom()
		var req wire.Request
		reply, err := p.begin(h, msg, &req)
		p.beats.end(beat)
		p.answer(h, msg, &req, reply, err)
	})
}

// makeRoom has the stack of a new goroutine grow to what an execution takes at once:
// step by step, with ever more on it to move, costs ten times as much.
//
//go:noinline
func makeRoom() (sum byte) {
	var room [8 << 10]byte
	for i := 0; i < len(room); i += 1 << 10 {
		sum += room[i]
	}
	return sum
}

// begin reads a request and runs it if its connector and its destination may have
// one more slot.
func (p *Pool) begin(h Handler, msg *nats.Msg, req *wire.Request) (reply wire.Reply, err error) {
	if *req, err = wire.DecodeRequest(msg.Data); err != nil {
		p.reading.Add(-1)
		return reply, fmt.Errorf("decode request: %w", err)
	}
	destination := h.destinationOf(req)
	entered := p.shares.enter(req.Connector.ID, destination)
	p.reading.Add(-1)
	if !entered {
		return reply, ErrBusy
	}
	// The slot is free before the caller can know: its next request finds it.
	defer p.shares.leave(req.Connector.ID, destination)
	return p.run(h, msg, req)
}

// isProbe answers a probe, which needs no slot.
func (p *Pool) isProbe(msg *nats.Msg) bool {
	if len(msg.Data) > 0 || msg.Header.Get(wire.SignalHeader) != wire.Probe {
		return false
	}
	p.signal(msg, wire.Probe)
	return true
}

// run runs one execution, unless it is too late for it.
func (p *Pool) run(h Handler, msg *nats.Msg, req *wire.Request) (reply wire.Reply, err error) {
	timeout := time.Duration(req.TimeLeft)
	if timeout < leastTime {
		return reply, fmt.Errorf("nothing was begun: %s of the time limit are left", timeout)
	}
	ctx, stop := context.WithTimeoutCause(p.ctx, timeout, limitError(timeout))
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.remember(msg.Reply, cancel)
	defer p.forget(msg.Reply)
	if ctx.Err() != nil { // nobody waits for it any more, or the grace is over
		return reply, context.Cause(ctx)
	}
	began := time.Now()
	reply.Data, err = p.call(ctx, h, req)
	reply.RunMicros = max(time.Since(began).Microseconds(), 1) // 0 would say that it never began
	return reply, err
}

// limitError says that an execution's time is over.
type limitError time.Duration

func (e limitError) Error() string {
	return "the time limit of " + time.Duration(e).String() + " is over"
}

// call runs the executor and turns a panic into an error.
func (p *Pool) call(ctx context.Context, h Handler, req *wire.Request) (data json.RawMessage, err error) {
	defer func() {
		if v := recover(); v != nil {
			p.log.Error("executor panicked", "execution", req.ExecutionID, "connector", req.Connector.ID,
				"type", req.Connector.Type, "panic", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
			data, err = nil, errPanicked
		}
	}()
	var secrets []byte
	if h.hasSecrets && len(req.Connector.Secrets) > 0 {
		if secrets, err = p.options.Open(req.Space, &req.Connector); err != nil {
			return nil, sealed(err)
		}
	}
	if len(req.SealedParams) > 0 {
		if err := p.openParams(req); err != nil {
			return nil, err
		}
	}
	if data, err = h.execute(ctx, req, secrets, p.options.Hosts); err != nil || len(data) == 0 || h.wellFormed {
		return data, err
	}
	if err := wire.WellFormed(data); err != nil {
		return nil, lost(err)
	}
	return data, nil
}
