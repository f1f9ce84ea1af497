package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
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

	agenda *agenda
	left   []place // of a round: those whose turn is still to come
	going  bool    // a round, that was not looked back on
	fed    bool    // something, in this round
	next   time.Time
}

// run feeds until ctx ends or the stream or the ledger fails.
func (f *feeder) run(ctx context.Context) error {
	f.swept, f.agenda = time.Now(), newAgenda()
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
	f.agenda, f.left, f.going = newAgenda(), nil, false // whatever it may have missed
	if lost := f.flight.forget(now.Add(-f.options.AckWait)); lost > 0 {
		f.log.Warn("executions were not taken from the stream in time; they are fed again", "executions", lost)
	}
}

// feed goes round until nothing more fits or is due, and returns when to look again;
// zero: not before something changes. Where it stops because all slots are taken it goes
// on the next time.
func (f *feeder) feed(ctx context.Context) (next time.Time, err error) {
	for looked := false; !f.flight.full(); {
		if len(f.left) == 0 {
			forgiven := f.going && f.flight.forgive(time.Now())
			f.going = false
			if looked && !f.fed && !forgiven {
				return earlier(f.next, f.agenda.next()), nil
			}
			f.round()
			looked = true
			continue
		}
		p := f.left[0]
		f.left = f.left[1:]
		if err := f.feedPlace(ctx, p); err != nil {
			return next, err
		}
	}
	return next, nil
}

// round begins one of all places that are ready, from the one after that which was fed
// last.
func (f *feeder) round() {
	f.agenda.update(f.ledger, time.Now())
	f.going, f.fed, f.next = true, false, time.Time{}
	places := slices.SortedFunc(maps.Keys(f.agenda.ready), compare)
	first, there := slices.BinarySearchFunc(places, f.last, compare)
	if there {
		first++
	}
	f.left = append(places[first:], places[:first]...)
}

func compare(a, b place) int {
	return cmp.Or(cmp.Compare(a.space, b.space), cmp.Compare(a.connector, b.connector), cmp.Compare(a.typeID, b.typeID))
}

func (f *feeder) feedPlace(ctx context.Context, p place) error {
	now := time.Now()
	room, waiting := f.flight.room(p)
	most, next := f.pauses.look(p, min(room, ticketRows), now, f.flight.begun)
	if most == 0 {
		f.next = earlier(f.next, next)
		return nil
	}
	if size := f.agenda.ready[p]; size > 0 && f.flight.blocked(p, size, now) {
		return nil
	}
	due, next, err := f.ledger.Due(ctx, ledger.Place{Space: p.space, ConnectorID: p.connector, Type: p.typeID}, now, waiting+most)
	if err != nil {
		return fmt.Errorf("look for executions that are due: %w", err)
	}
	if len(due) == 0 { // else it stays ready: also what is in flight may be fed again
		f.agenda.putOff(p, next)
		return nil
	}
	f.next = earlier(f.next, next)
	seqs, blocked := f.flight.enter(p, due, most, now)
	f.agenda.ready[p] = blocked
	if len(seqs) == 0 {
		return nil
	}
	f.pauses.fed(p, seqs[0], now)
	f.last, f.fed = p, true
	return f.hand(ctx, p, seqs)
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
