package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"patchbay.dev/shared/connector"
)

// What the broker must allow the api for all of this. It publishes
//
//	patchbay.v1.queue.*
//	$JS.API.STREAM.UPDATE.PATCHBAY_QUEUE     $JS.API.STREAM.CREATE.PATCHBAY_QUEUE
//	$JS.API.STREAM.UPDATE.PATCHBAY_SUBMIT    $JS.API.STREAM.CREATE.PATCHBAY_SUBMIT
//	$JS.API.CONSUMER.CREATE.PATCHBAY_QUEUE.*.patchbay.v1.queue.*
//	$JS.API.CONSUMER.CREATE.PATCHBAY_SUBMIT.api
//	$JS.API.CONSUMER.MSG.NEXT.PATCHBAY_QUEUE.*
//	$JS.API.CONSUMER.MSG.NEXT.PATCHBAY_SUBMIT.api
//	$JS.ACK.PATCHBAY_QUEUE.>
//	$JS.ACK.PATCHBAY_SUBMIT.api.>
//
// and subscribes to its inboxes, _INBOX_api.>, alone. A broker with the feature flag for
// the longer form of acknowledgements has two more parts after $JS.ACK. A producer
// publishes patchbay.v1.submit.<space>, or .* for all, and subscribes to its inboxes.

// The streams, and the one consumer of submissions. Those of tickets have the names of
// the types, without their dots.
const (
	queueStream    = "PATCHBAY_QUEUE"
	submitStream   = "PATCHBAY_SUBMIT"
	submitConsumer = "api"

	queuePrefix  = "patchbay.v1.queue."
	submitPrefix = "patchbay.v1.submit."

	// unlimited tickets and lines may be unsettled. The slots bound the tickets, and those
	// that an api left behind which was killed must not stand in the way of new ones.
	unlimited = -1
)

func consumerName(typeID string) string { return strings.TrimPrefix(typeID, ".") }

func queueSubject(typeID string) string { return queuePrefix + consumerName(typeID) }

// make makes the streams and consumers, or brings them up to date.
func (q *Queue) make(ctx context.Context, js jetstream.JetStream) ([]jetstream.Consumer, *inbox, error) {
	consumers, err := q.makeQueue(ctx, js)
	if err != nil {
		return nil, nil, err
	}
	submissions, err := q.makeSubmissions(ctx, js)
	return consumers, submissions, err
}

// makeQueue makes the stream of tickets and a consumer for each type.
func (q *Queue) makeQueue(ctx context.Context, js jetstream.JetStream) ([]jetstream.Consumer, error) {
	config := q.stream(queueStream, queuePrefix)
	if _, err := js.CreateOrUpdateStream(ctx, config); err != nil {
		return nil, fmt.Errorf("make the stream %s: %w", queueStream, explain(err))
	}
	var consumers []jetstream.Consumer
	for _, d := range connector.All {
		typeID := d.Describe().ID
		c, err := js.CreateOrUpdateConsumer(ctx, queueStream, q.consumer(consumerName(typeID), queueSubject(typeID)))
		if err != nil {
			return nil, fmt.Errorf("make the consumer %s of %s: %w", consumerName(typeID), queueStream, explain(err))
		}
		consumers = append(consumers, c)
	}
	return consumers, nil
}

func (q *Queue) stream(name, prefix string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: name, Subjects: []string{prefix + "*"}, Retention: jetstream.WorkQueuePolicy,
		Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew, Replicas: q.options.Replicas,
	}
}

func (q *Queue) consumer(name, filter string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: name, FilterSubject: filter, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: q.options.AckWait, MaxDeliver: -1, MaxAckPending: unlimited,
	}
}

// explain adds to an error what an operator can do about it.
func explain(err error) error {
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%w: the broker runs without JetStream, its option is -js", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: perhaps the broker does not allow it, see deploy/nats/nats.conf", err)
	}
	return err
}
