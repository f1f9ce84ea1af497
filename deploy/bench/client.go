package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// answerLimit is how long one answer may take before a run is given up, unless
// the clients have less patience.
const answerLimit = 10 * time.Second

// client sends requests over a connection of its own and keeps a record.
type client struct {
	load    *load
	from    time.Time // of what the record tells
	until   time.Time
	conn    net.Conn    // nil before the first request and after one that was given up
	unwatch func() bool // has conn no longer end with the context
	answers answerReader
	record
}

// record is what became of requests.
type record struct {
	good, refused []time.Duration // how long each took
	gaveUp        int             // the client's patience was over
	failed        int             // anything else
	failure       error           // one of those, nil for none
}

func (r *record) add(other *record) {
	r.good = append(r.good, other.good...)
	r.refused = append(r.refused, other.refused...)
	r.gaveUp += other.gaveUp
	r.failed += other.failed
	if r.failure == nil {
		r.failure = other.failure
	}
}

// ask sends one request and waits for its answer. It reports whether the answer
// is good; the record tells why not.
func (c *client) ask(ctx context.Context) (good bool) {
	sent := time.Now()
	status, err := c.exchange(ctx, sent)
	answered := time.Now()
	// It counts when it ends: at the rate of the program, also if requests come
	// faster than that.
	counts := answered.After(c.from) && answered.Before(c.until)
	if err != nil {
		c.close()
	}
	network, _ := errors.AsType[net.Error](err)
	switch {
	case err == nil && status == c.load.status && bytes.Contains(c.answers.body, c.load.good):
		if counts {
			c.good = append(c.good, answered.Sub(sent))
		}
		return true
	case err == nil && c.load.lenient && (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable):
		if counts {
			c.refused = append(c.refused, answered.Sub(sent))
		}
	case network != nil && network.Timeout() && c.load.patience > 0:
		if counts {
			c.gaveUp++
		}
	default:
		if err == nil {
			err = fmt.Errorf("unexpected answer: %d %.300s", status, c.answers.body)
		}
		c.failure = err
		if counts {
			c.failed++
		}
	}
	return false
}

// exchange returns the status of the answer, whose body is then c.answers.body.
func (c *client) exchange(ctx context.Context, now time.Time) (status int, err error) {
	deadline := now.Add(c.load.patience)
	if c.conn == nil {
		if c.load.patience == 0 {
			deadline = c.until.Add(answerLimit) // once is enough
		}
		dialer := net.Dialer{Deadline: deadline}
		conn, err := dialer.DialContext(ctx, "tcp", c.load.address)
		if err != nil {
			return 0, err
		}
		c.conn, c.unwatch = conn, context.AfterFunc(ctx, func() { _ = conn.Close() })
		c.answers.reset(conn)
		if err := conn.SetDeadline(deadline); err != nil {
			return 0, err
		}
	} else if c.load.patience > 0 {
		if err := c.conn.SetDeadline(deadline); err != nil {
			return 0, err
		}
	}
	if _, err := c.conn.Write(c.load.request); err != nil {
		return 0, err
	}
	return c.answers.next()
}

// close closes the connection, if there is one; the next request makes another.
func (c *client) close() {
	if c.conn != nil {
		c.unwatch()
		_ = c.conn.Close()
		c.conn = nil
	}
}
