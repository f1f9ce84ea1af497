package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/connector"
)

// ticketRows is how many rows one ticket may name.
const ticketRows = 32

// ticket is what stands in the stream.
type ticket struct {
	Seqs []int64 `json:"seqs"` // of one place
}

// feeder puts tickets for what is due into the stream, one place after the other.
type feeder struct {
	*Queue
	publish func(ctx context.Context, subject string, data []byte) error
	begin   func(seqs []int64) error // without the stream
	last    place                    // that was fed
	swept   time.Time
}

// run feeds until ctx ends or the stream or the ledger fails.
func (f *feeder) run(ctx context.Context) error {
	f.swept = time.Now()
	for {
		f.sweep(time.Now())
		next, err := f.feed(ctx)
		if err != nil {
			return err
		}
		wait := f.options.AckWait / 2
		if !next.IsZero() {
			wait = min(wait, time.Until(next))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-f.ledger.Changed():
		case <-f.freed:
		case <-time.After(wait):
		}
	}
}

// sweep has rows fed again whose tickets must be lost.
func (f *feeder) sweep(now time.Time) {
	if now.Sub(f.swept) < f.options.AckWait/2 {
		return
	}
	f.swept = now
	if lost := f.flight.forget(now.Add(-f.options.AckWait)); lost > 0 {
		f.log.Warn("executions were not taken from the stream in time; they are fed again", "executions", lost)
	}
}

// feed goes round until nothing more fits or is due, and returns when to look again;
// zero: not before something changes.
func (f *feeder) feed(ctx context.Context) (next time.Time, err error) {
	for fed := true; fed && !f.flight.full(); {
		fed, next = false, time.Time{}
		for _, p := range f.round() {
			turn, err := f.feedPlace(ctx, p)
			if err != nil {
				return next, err
			}
			if turn.tooLarge { // those behind it would take what it waits for
				return next, nil
			}
			fed = fed || turn.fed
			next = earlier(next, turn.next)
		}
	}
	return next, nil
}

// round returns the places, from the one after that which was fed last.
func (f *feeder) round() []ledger.Place {
	places := f.ledger.Places()
	slices.SortFunc(places, func(a, b ledger.Place) int { return compare(placeOf(&a), placeOf(&b)) })
	first, _ := slices.BinarySearchFunc(places, f.last, func(p ledger.Place, last place) int {
		return cmp.Or(compare(placeOf(&p), last), -1)
	})
	return append(places[first:], places[:first]...)
}

func compare(a, b place) int {
	return cmp.Or(cmp.Compare(a.space, b.space), cmp.Compare(a.connector, b.connector), cmp.Compare(a.typeID, b.typeID))
}

// turn is what came of feeding one place.
type turn struct {
	fed, tooLarge bool
	next          time.Time // when to look at it again; zero: not before something changes
}

func (f *feeder) feedPlace(ctx context.Context, at ledger.Place) (turn, error) {
	p, now := placeOf(&at), time.Now()
	room, waiting := f.flight.room(p)
	most, next := f.pauses.look(p, min(room, ticketRows), now, f.flight.has)
	if most == 0 {
		return turn{next: next}, nil
	}
	due, next, err := f.ledger.Due(ctx, at, now, waiting+most)
	if err != nil {
		return turn{}, fmt.Errorf("look for executions that are due: %w", err)
	}
	seqs, tooLarge := f.flight.enter(p, due, most, now)
	if len(seqs) == 0 {
		return turn{tooLarge: tooLarge, next: next}, nil
	}
	f.pauses.fed(p, seqs[0])
	f.last = p
	return turn{fed: true, tooLarge: tooLarge, next: next}, f.hand(ctx, p, seqs)
}

// hand puts a ticket into the stream of the type, or, where the type is not there any
// more and nobody takes it, begins at once: the executions end for that reason.
func (f *feeder) hand(ctx context.Context, p place, seqs []int64) error {
	if !slices.ContainsFunc(connector.All, func(d connector.Definition) bool { return d.Describe().ID == p.typeID }) {
		return f.begin(seqs)
	}
	body, err := json.Marshal(ticket{seqs})
	if err != nil {
		return err
	}
	if err := f.publish(ctx, queueSubject(p.typeID), body); err != nil {
		return fmt.Errorf("put executions into the stream: %w", err)
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
