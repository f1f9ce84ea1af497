package faults_test

import (
	"os/exec"
	"runtime"
	"syscall"
)

// spawning starts processes, all from one thread that lives as long as the test:
// a process is told when the thread that started it ends.
var spawning = func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
}()

// spawn starts a process that dies with the test, also when nobody cleans up.
func spawn(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	spawning <- func() { started <- cmd.Start() }
	return <-started
}
