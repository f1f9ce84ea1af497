package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// draining is B10: the speed at which what is queued is carried out, with many
// executions in the queue beside few.
func draining(ctx context.Context, s *stage) (*result, error) {
	few, many := 100, 100_000
	if s.smoke {
		many = 2000
	}
	var r result
	err := s.rounds(ctx, &r, s.drain(few), s.drain(many))
	if err != nil {
		return nil, err
	}
	r.atLeast(0.95, none, fmt.Sprintf("queued executions, %d in the queue: rate", many), queueOf(many), queueOf(few), rate)
	return &r, nil
}

func queueOf(depth int) string { return fmt.Sprintf("%d queued", depth) }

// drain fills a queue to a depth while no worker is there, starts one, and then puts
// into the queue what has gone out of it, as the destination counts.
func (s *stage) drain(depth int) side {
	return side{name: queueOf(depth), alone: true, measure: func(ctx context.Context) (found sample, err error) {
		stub, err := s.start(ctx, "stub")
		if err != nil {
			return sample{}, err
		}
		p, err := s.parts(ctx, boundless, boundlessOne, "PATCHBAY_QUEUE_SLOTS=64")
		if err != nil {
			return sample{}, err
		}
		if err := post(ctx, p.api, connectorPath+"bench", indexConnector); err != nil {
			return sample{}, err
		}
		queued, line := 0, bulkLines(1, documents(1))
		fill := func(until int) error {
			for queued < until {
				n := min(until-queued, 5000)
				if err := postLines(ctx, p.api, strings.Repeat(line, n), n); err != nil {
					return err
				}
				queued += n
			}
			return nil
		}
		if err := fill(depth); err != nil {
			return sample{}, err
		}
		if err := s.addWorker(ctx, p, batchingOff, "PATCHBAY_ELASTICSEARCH_URL=http://"+stub.address); err != nil {
			return sample{}, err
		}
		count := func() (int, time.Time, error) {
			done, _, err := stats(ctx, stub)
			now := time.Now()
			if err == nil {
				err = fill(depth + done)
			}
			return done, now, err
		}
		if found.rate, err = s.speed(count); err != nil {
			return sample{}, err
		}
		// What is left in the queue stays there: an api stops without it.
		for _, each := range append(p.all(), stub) {
			if err := s.stop(each); err != nil {
				return sample{}, err
			}
		}
		return found, os.RemoveAll(p.data)
	}}
}

// speed returns by how many a second a count grows, once it has begun to and after
// the warm-up.
func (s *stage) speed(count func() (int, time.Time, error)) (float64, error) {
	done, now, err := count()
	until := func(ended func() bool) {
		for err == nil && !ended() {
			done, now, err = count()
		}
	}
	began := now
	until(func() bool { return done > 0 || now.Sub(began) > startLimit })
	if err == nil && done == 0 {
		return 0, fmt.Errorf("nothing was carried out in %s", startLimit)
	}
	began = now
	until(func() bool { return now.Sub(began) > s.warm(time.Second) })
	first, from := done, now
	until(func() bool { return now.Sub(from) >= s.duration })
	return float64(done-first) / now.Sub(from).Seconds(), err
}

// postLines sends a bulk whose every line must be queued.
func postLines(ctx context.Context, p *process, body string, lines int) error {
	answer, err := send(ctx, p, bulkPath, "application/x-ndjson", body)
	if err != nil {
		return err
	}
	if got := strings.Count(answer, `"status":"queued"`); got != lines {
		return fmt.Errorf("%d of %d lines were queued: %.300s", got, lines, answer)
	}
	return nil
}
