package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"patchbay.dev/api/ledger"
)

// Line is an execution that was submitted over the broker.
type Line struct {
	ID   string // the execution's, the same one whenever the line comes again
	Key  string // its idempotency key if the body has none, from a header; "" for none; see [Submit]
	Body []byte // as a line of _bulk_execute
	// W3C headers; "" for none.
	Traceparent, Tracestate string
}

// Submit accepts lines of one space, in order, and returns as many results: nil,
// [ledger.ErrExists] (it came before) or [ledger.ErrKeyReused], a *[Refused], or, for
// everything that may pass, any other error: then the line comes again. Where the body
// tells the key it is set: the log names it.
type Submit func(ctx context.Context, space string, lines []Line) []error

// SubmittedPrefix begins the ids of executions that were submitted over the broker.
// Nobody else may choose such an id: the line that has it would seem to have come before.
const SubmittedPrefix = "submitted-"

// Refused says that a line can never be accepted.
type Refused struct{ Reason string } // nothing of the params

func (e *Refused) Error() string { return e.Reason }

const (
	// pullSubmissions is how many lines are accepted together, at most.
	pullSubmissions = 256
	// keyHeader has the idempotency key of a line. Nats-Msg-Id is one, too, but by that
	// the broker itself drops a second message, whatever connector it is for.
	keyHeader = "Idempotency-Key"
	// submitWait is after what time a line comes again that nobody has settled: it takes
	// milliseconds, unless the api has died.
	submitWait = 5 * time.Second
	// putOff is how long a line waits that may be accepted later, twice as long each time
	// up to maxPutOff: half to all of it.
	putOff    = 2 * time.Second
	maxPutOff = 30 * time.Second
)

// inbox is the consumer of submissions.
type inbox struct {
	jetstream.Consumer
	born string // of its stream: what the ids of executions begin with
}

func (q *Queue) makeSubmissions(ctx context.Context, js jetstream.JetStream) (*inbox, error) {
	config := q.stream(submitStream, submitPrefix)
	config.MaxBytes = q.options.MaxSubmitted
	stream, err := js.CreateOrUpdateStream(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("make the stream %s: %w", submitStream, explain(err))
	}
	// Lines for one connector that is full must not stand in the way of all others: a pull
	// bounds what is in memory.
	taking := q.consumer(submitConsumer, "")
	taking.AckWait = min(taking.AckWait, submitWait)
	c, err := js.CreateOrUpdateConsumer(ctx, submitStream, taking)
	if err != nil {
		return nil, fmt.Errorf("make the consumer %s of %s: %w", submitConsumer, submitStream, explain(err))
	}
	return &inbox{c, strconv.FormatInt(stream.CachedInfo().Created.UnixNano(), 36)}, nil
}

// accept returns what is done with the messages of a pull.
func (i *inbox) accept(ctx context.Context, q *Queue) func([]jetstream.Msg) error {
	return func(msgs []jetstream.Msg) error {
		full := false
		var late error // why some are not accepted yet, apart from that
		for _, group := range bySpace(msgs) {
			lines := make([]Line, len(group.msgs))
			for n, msg := range group.msgs {
				line, err := i.line(msg)
				if err != nil {
					return err
				}
				lines[n] = line
			}
			for n, err := range q.submit(ctx, group.space, lines) {
				full = full || errors.Is(err, ledger.ErrFull)
				late = cmp.Or(late, q.settle(group.msgs[n], group.space, lines[n].Key, err))
			}
		}
		if late != nil && ctx.Err() == nil {
			q.log.Warn("submissions could not be accepted yet", "error", late)
		}
		if full { // those that come meanwhile are better kept by the stream
			select {
			case <-ctx.Done():
			case <-time.After(putOff / 2):
			}
		}
		return nil
	}
}

// line reads a message. Its id holds the stream's birth: sequences begin anew when a
// stream is made again.
func (i *inbox) line(msg jetstream.Msg) (Line, error) {
	about, err := msg.Metadata()
	if err != nil {
		return Line{}, fmt.Errorf("read a submission: %w", err)
	}
	h := msg.Headers()
	return Line{
		ID:  fmt.Sprintf(SubmittedPrefix+"%s-%d", i.born, about.Sequence.Stream),
		Key: cmp.Or(h.Get(keyHeader), h.Get(jetstream.MsgIDHeader)), Body: msg.Data(),
		Traceparent: h.Get("traceparent"), Tracestate: h.Get("tracestate"),
	}, nil
}

// settle tells the broker what came of a line. If that is lost the line comes again,
// and is found to have come before. It returns errors that ought not to be.
func (q *Queue) settle(msg jetstream.Msg, space, key string, err error) error {
	refused, _ := errors.AsType[*Refused](err)
	switch {
	case err == nil, errors.Is(err, ledger.ErrExists):
		_ = msg.Ack()
	case refused != nil, errors.Is(err, ledger.ErrKeyReused):
		sequence := uint64(0)
		if about, err := msg.Metadata(); err == nil {
			sequence = about.Sequence.Stream
		}
		q.log.Warn("submission was refused", "space", space, "sequence", sequence, "key", key, "reason", err)
		_ = msg.TermWithReason(err.Error())
	default:
		_ = msg.NakWithDelay(q.random.putOff(deliveries(msg)))
		// With ErrRunning its key is that of an execution that somebody waits for.
		if !errors.Is(err, ledger.ErrFull) && !errors.Is(err, ledger.ErrConnectorFull) && !errors.Is(err, ledger.ErrRunning) {
			return err
		}
	}
	return nil
}

// deliveries is how often a message has come.
func deliveries(msg jetstream.Msg) int {
	about, err := msg.Metadata()
	if err != nil {
		return 1
	}
	return int(min(about.NumDelivered, 100)) //nolint:gosec // it fits
}

// submissions are messages of one space, in order.
type submissions struct {
	space string
	msgs  []jetstream.Msg
}

func bySpace(msgs []jetstream.Msg) []submissions {
	var groups []submissions
	at := make(map[string]int)
	for _, msg := range msgs {
		space := strings.TrimPrefix(msg.Subject(), submitPrefix)
		n, there := at[space]
		if !there {
			n = len(groups)
			at[space] = n
			groups = append(groups, submissions{space: space})
		}
		groups[n].msgs = append(groups[n].msgs, msg)
	}
	return groups
}
