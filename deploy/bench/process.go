package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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

// process is a running program.
type process struct {
	name    string
	cmd     *exec.Cmd
	reading sync.WaitGroup // of what it prints
	address string         // host:port where it listens, "" if it does not say

	diagnostics string // host:port of its profiles, "" for none
	profiled    []byte // its last profile, until it is kept
}

// ready is how the programs say that they are: where they listen, or that they
// take work.
var ready = regexp.MustCompile(` is ready at \w+://(\S+)|"msg":"api is listening","address":"([^"]+)"|"msg":"worker is running"`)

// launch starts a program and returns when it is ready. Its settings are
// environment variables "NAME=value", or flags. With logged it says in its log
// that it is ready, otherwise on standard output, and its log goes nowhere.
func launch(ctx context.Context, binary string, settings []string, logged bool) (*process, error) {
	p := &process{name: filepath.Base(binary), cmd: exec.Command(binary)}
	p.cmd.Env = environment()
	for _, each := range settings {
		if strings.HasPrefix(each, "-") {
			p.cmd.Args = append(p.cmd.Args, each)
		} else {
			p.cmd.Env = append(p.cmd.Env, each)
		}
	}
	pipe := p.cmd.StdoutPipe
	if logged {
		pipe = p.cmd.StderrPipe
	}
	output, err := pipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	said := make(chan string, 1)
	p.reading.Go(func() { // ends with the process, which has the other end
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			if m := ready.FindStringSubmatch(lines.Text()); m != nil {
				said <- m[1] + m[2]
				break
			}
		}
		close(said)
		_, _ = io.Copy(io.Discard, output)
	})
	ctx, stop := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("not ready within %s", startLimit))
	defer stop()
	select {
	case address, ok := <-said:
		if !ok {
			return nil, errors.Join(errors.New("it ended before it was ready; started by hand it tells why"), p.stop())
		}
		p.address = address
		return p, nil
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), p.stop())
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

// stop ends the process the way an operator does. The error says if it did not
// exit with 0.
func (p *process) stop() error {
	// An error means that it has ended already; Wait tells how.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(stopLimit, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	p.reading.Wait() // first: Wait closes what is being read
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	return nil
}

// usage returns the CPU time that a process has used and the bytes it holds in
// memory. Only Linux tells; elsewhere both are 0 and the report has no figure.
func (p *process) usage() (cpu time.Duration, resident int64, err error) {
	if runtime.GOOS != "linux" {
		return 0, 0, nil
	}
	pid := p.cmd.Process.Pid
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

// ownCPU returns the CPU time that this process, the load generator, has used.
func ownCPU() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}
