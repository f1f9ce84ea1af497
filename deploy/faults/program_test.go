package faults_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const (
	// patience is how long a test waits for what should come soon. It is long, since
	// the machine may be busy; nothing waits for it when all is well.
	patience = 60 * time.Second
	// pause is how often a test looks where nothing signals.
	pause = 5 * time.Millisecond
)

// program is one of the programs, which may be killed and started again, with the
// same settings and files.
type program struct {
	name  string
	args  []string
	env   []string
	ready string // what its log says once it works

	log   string        // file of what it says, through all its lives
	cmd   *exec.Cmd     // the process; nil before the first
	ended chan struct{} // closed when the process has ended
	err   error         // and how
}

// newProgram returns a program that is not running yet. Whatever becomes of it, no
// process of it outlives the test.
func newProgram(t *testing.T, dir, name, binary, ready string, args ...string) *program {
	t.Helper()
	p := &program{
		name: name, ready: ready, args: append([]string{filepath.Join(binaries, binary)}, args...),
		log: filepath.Join(dir, name+".log"),
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", p.name, p.tail())
		}
	})
	return p
}

// start starts it and returns when it is ready.
func (p *program) start() error {
	before := len(p.said())
	if err := p.begin(); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if bytes.Contains(p.said()[before:], []byte(p.ready)) {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended before it was ready: %w\n%s", p.name, p.err, p.tail())
		case <-time.After(pause):
		}
	}
	return fmt.Errorf("%s is not ready\n%s", p.name, p.tail())
}

// begin starts it.
func (p *program) begin() error {
	file, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close() // the process has its own
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Env = append(withoutSettings(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr = file, file
	if err := spawn(p.cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	ended := make(chan struct{})
	p.ended = ended
	go func() {
		p.err = p.cmd.Wait()
		close(ended)
	}()
	return nil
}

// kill ends it as a power cut does: at once, whatever it does.
func (p *program) kill() {
	if p.cmd == nil || p.cmd.Process == nil || p.ended == nil {
		return
	}
	_ = p.cmd.Process.Kill() // an error says that it has ended
	<-p.ended
}

// stop ends it as a supervisor does. The error says if it did not end well.
func (p *program) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.kill()
		return errors.New(p.name + " does not stop")
	}
	if p.err != nil {
		return fmt.Errorf("%s after SIGTERM: %w", p.name, p.err)
	}
	return nil
}

// said returns its log.
func (p *program) said() []byte {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return nil // it has said nothing yet
	}
	return data
}

func (p *program) tail() []byte {
	said := p.said()
	return said[max(0, len(said)-4000):]
}

// up starts programs, one after another.
func up(t *testing.T, programs ...*program) {
	t.Helper()
	for _, p := range programs {
		if err := p.start(); err != nil {
			t.Fatal(err)
		}
	}
}

// eventually waits until a condition holds. what says which, for the failure.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so after %s", what, patience)
		}
		time.Sleep(pause) // nothing signals it
	}
}
