package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startLimit = 20 * time.Second
	stopLimit  = 40 * time.Second // the all-in-one waits 30 s for requests in flight
)

// What both programs are asked.
const (
	connectorPath = "/api/actions/connector/bench"
	connectorBody = `{"name":"Benchmark","connector_type_id":".server-log"}`
	executePath   = connectorPath + "/_execute"
	executeBody   = `{"params":{"level":"info","message":"High CPU on web-3: 97 % for 10 minutes (threshold 90 %), see the runbook"}}`
)

// contestant is one of the measured programs and its running process.
type contestant struct {
	name    string
	binary  string
	product bool // the connector must be created first

	process *exec.Cmd      // nil when none runs
	reading sync.WaitGroup // of its stdout
	address string

	starts  []time.Duration // from process start to first answer
	idle    int64           // bytes resident after the start
	resting int64           // bytes resident after the load
}

// launch starts the program times times, each time with an empty data directory,
// and leaves the last process running.
func (c *contestant) launch(ctx context.Context, times int) error {
	for range times {
		if err := c.stop(); err != nil {
			return err
		}
		began := time.Now()
		if err := c.start(ctx); err != nil {
			return fmt.Errorf("start %s: %w", c.name, err)
		}
		path, body := executePath, executeBody
		if c.product {
			path, body = connectorPath, connectorBody
		}
		if err := post(ctx, "http://"+c.address+path, body); err != nil {
			return fmt.Errorf("first request to %s: %w", c.name, err)
		}
		c.starts = append(c.starts, time.Since(began))
	}
	_, idle, err := usage(c.process.Process.Pid)
	c.idle = idle
	return err
}

var readyLine = regexp.MustCompile(` is ready at http://(\S+)`)

// start starts the process and returns when it has told its address.
func (c *contestant) start(ctx context.Context) error {
	data, err := os.MkdirTemp(filepath.Dir(c.binary), "data-")
	if err != nil {
		return err
	}
	cmd := exec.Command(c.binary)
	cmd.Env = append(environment(),
		"PATCHBAY_HTTP_ADDR=127.0.0.1:0",
		"PATCHBAY_DATA_DIR="+data,
		"PATCHBAY_LOG_FORMAT=json", // as the floor's
	)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	// Stderr, where both programs log, stays nil: the null device.
	if err := cmd.Start(); err != nil {
		return err
	}
	c.process = cmd

	ready := make(chan string, 1)
	c.reading.Go(func() { // ends with the process, which has the other end of stdout
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if m := readyLine.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m[1]
				break
			}
		}
		close(ready)
		_, _ = io.Copy(io.Discard, stdout)
	})
	ctx, stop := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("not ready within %s", startLimit))
	defer stop()
	select {
	case address, ok := <-ready:
		if !ok {
			return errors.New("it ended before it was ready; started by hand it tells why")
		}
		c.address = address
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// environment is ours without Patchbay's settings.
func environment() []string {
	var env []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "PATCHBAY_") {
			env = append(env, entry)
		}
	}
	return env
}

// stop ends the process, if one runs, the way an operator does. The error says
// if it did not exit with 0.
func (c *contestant) stop() error {
	if c.process == nil {
		return nil
	}
	process := c.process
	c.process = nil
	// An error means that it has ended already; Wait tells how.
	_ = process.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(stopLimit, func() { _ = process.Process.Kill() })
	defer kill.Stop()
	c.reading.Wait() // first: process.Wait closes what is being read
	if err := process.Wait(); err != nil {
		return fmt.Errorf("stop %s: %w", c.name, err)
	}
	return nil
}

// rest notes what the process holds in memory now.
func (c *contestant) rest() error {
	_, resting, err := usage(c.process.Process.Pid)
	c.resting = resting
	return err
}

func post(ctx context.Context, url, body string) error {
	ctx, stop := context.WithTimeout(ctx, startLimit)
	defer stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, answer)
	}
	return nil
}

// usage returns the CPU time that a process has used and the bytes it holds in
// memory. Only Linux tells; elsewhere both are 0 and the report has no figure.
func usage(pid int) (cpu time.Duration, resident int64, err error) {
	if runtime.GOOS != "linux" {
		return 0, 0, nil
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	// After the name, which may hold anything and ends with the last bracket,
	// come the fields from the third on; proc(5): 14 and 15 are user and system
	// time in ticks of 10 ms, 24 is resident pages.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 22 {
		return 0, 0, fmt.Errorf("/proc/%d/stat: too few fields", pid)
	}
	user, err1 := strconv.ParseInt(fields[14-3], 10, 64)
	system, err2 := strconv.ParseInt(fields[15-3], 10, 64)
	pages, err3 := strconv.ParseInt(fields[24-3], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return 0, 0, err
	}
	return time.Duration(user+system) * 10 * time.Millisecond, pages * int64(os.Getpagesize()), nil
}
