package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// answerLimit is how long one answer may take before the run is given up.
const answerLimit = 10 * time.Second

// sample is one measurement.
type sample struct {
	rate     float64       // executions per second
	p50, p99 time.Duration // latency
	server   time.Duration // CPU time of the program, per execution
	share    float64       // of all CPU time used, the load generator's: 0 to 1
}

// measure keeps the program busy over a number of connections, each of which
// sends its next request when it has the answer. It is an error if any answer is
// not a 200 with status ok.
func (c *contestant) measure(ctx context.Context, connections int, warmup, duration time.Duration) (sample, error) {
	from := time.Now().Add(warmup)
	until := from.Add(duration)
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		executePath, c.address, len(executeBody), executeBody)

	latencies := make([][]time.Duration, connections)
	errs := make([]error, connections)
	var clients sync.WaitGroup
	for i := range connections {
		clients.Go(func() { latencies[i], errs[i] = drive(ctx, c.address, request, from, until) })
	}
	pid := c.process.Process.Pid
	time.Sleep(time.Until(from))
	own, server, err1 := spent(pid)
	time.Sleep(time.Until(until))
	ownEnd, serverEnd, err2 := spent(pid)
	clients.Wait()
	if ctx.Err() != nil {
		return sample{}, context.Cause(ctx)
	}
	if failed := slices.DeleteFunc(errs, func(err error) bool { return err == nil }); len(failed) > 0 {
		return sample{}, fmt.Errorf("%d connections failed, one with: %w", len(failed), failed[0])
	}
	if err := errors.Join(err1, err2); err != nil {
		return sample{}, err
	}

	all := slices.Concat(latencies...)
	if len(all) == 0 {
		return sample{}, nil // a machine that stood still: a program that hangs is an error above
	}
	slices.Sort(all)
	own, server = ownEnd-own, serverEnd-server
	return sample{
		rate:   float64(len(all)) / duration.Seconds(),
		p50:    all[len(all)/2],
		p99:    all[len(all)*99/100],
		server: server / time.Duration(len(all)),
		share:  own.Seconds() / max((own+server).Seconds(), 1e-9),
	}, nil
}

// drive sends request over one connection, again and again, and returns the
// latencies of those that were answered between from and until.
func drive(ctx context.Context, address string, request []byte, from, until time.Time) ([]time.Duration, error) {
	conn, err := net.DialTimeout("tcp", address, answerLimit)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(until.Add(answerLimit)); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()

	answers := answerReader{bufio.NewReader(conn), make([]byte, 0, 4096)}
	var latencies []time.Duration
	for sent := time.Now(); sent.Before(until); {
		if _, err := conn.Write(request); err != nil {
			return nil, err
		}
		if err := answers.next(); err != nil {
			return nil, err
		}
		answered := time.Now()
		if answered.After(from) && answered.Before(until) {
			latencies = append(latencies, answered.Sub(sent))
		}
		sent = answered
	}
	return latencies, nil
}

// answerReader reads just as much HTTP as the two programs speak, so that the
// load generator takes little of the CPU that it shares with them.
type answerReader struct {
	r    *bufio.Reader
	body []byte
}

var (
	statusOK      = []byte("HTTP/1.1 200 ")
	contentLength = []byte("Content-Length")
	bodyOK        = []byte(`"status":"ok"`)
)

// next reads one answer and returns an error unless it is the expected one.
func (a *answerReader) next() error {
	line, err := a.r.ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if !bytes.HasPrefix(line, statusOK) {
		rest, _ := a.r.Peek(a.r.Buffered())
		return fmt.Errorf("unexpected answer: %s%s", line, rest)
	}
	length := -1
	for {
		line, err := a.r.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("read header: %w", err)
		}
		if line = textproto.TrimBytes(line); len(line) == 0 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, contentLength) {
			if length, err = strconv.Atoi(string(textproto.TrimBytes(value))); err != nil {
				return fmt.Errorf("read header: %w", err)
			}
		}
	}
	if length < 0 {
		return errors.New("the answer has no Content-Length")
	}
	a.body = slices.Grow(a.body[:0], length)[:length]
	if _, err := io.ReadFull(a.r, a.body); err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	if !bytes.Contains(a.body, bodyOK) {
		return fmt.Errorf("the execution went wrong: %s", a.body)
	}
	return nil
}

// spent returns the CPU time used so far by this process and by another.
func spent(pid int) (own, other time.Duration, err error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, 0, err
	}
	other, _, err = usage(pid)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), other, err
}
