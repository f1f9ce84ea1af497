//go:build !linux

package faults_test

import "os/exec"

// spawn starts a process. It outlives a test that is killed.
func spawn(cmd *exec.Cmd) error { return cmd.Start() }
