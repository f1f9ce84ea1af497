package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// pullBytes bounds what comes at once: the connection serves executions that
	// somebody waits for, too. The largest message fits in any case.
	pullBytes = 1 << 20
	// headroom is what a message has besides what max_payload counts.
	headroom = 64 << 10
)

// pull hands out what a consumer delivers, in groups: what came while the group before
// was looked at. It ends with ctx, or when the broker or handle fails.
func (q *Queue) pull(ctx context.Context, c jetstream.Consumer, most int, handle func([]jetstream.Msg) error) error {
	for ctx.Err() == nil {
		began, got := time.Now(), 0
		largest := max(pullBytes, int(q.nc.MaxPayload())+headroom)
		batch, err := c.Fetch(most, jetstream.FetchContext(ctx), jetstream.FetchMaxBytes(largest))
		if err != nil {
			return fmt.Errorf("ask for messages: %w", err)
		}
		for msg := range batch.Messages() {
			group := gather(msg, batch.Messages())
			got += len(group)
			if err := handle(group); err != nil {
				return err
			}
			if ctx.Err() != nil {
				handBack(batch.Messages())
				return context.Cause(ctx)
			}
		}
		if err := batch.Error(); err != nil && ctx.Err() == nil {
			return fmt.Errorf("wait for messages: %w", err)
		}
		if got == 0 && time.Since(began) < time.Second && ctx.Err() == nil {
			return errors.New("wait for messages: the broker has none, and does not wait")
		}
	}
	return context.Cause(ctx)
}

// gather returns the first message and those that are there already.
func gather(first jetstream.Msg, more <-chan jetstream.Msg) []jetstream.Msg {
	group := []jetstream.Msg{first}
	for {
		select {
		case msg, open := <-more:
			if !open {
				return group
			}
			group = append(group, msg)
		default:
			return group
		}
	}
}

// handBack lets others have at once what came too late to be looked at here.
func handBack(msgs <-chan jetstream.Msg) {
	for msg := range msgs {
		_ = msg.Nak()
	}
}
