package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// writeForever creates connectors and prints the id of each once it is stored.
func writeForever(dir string) {
	s, err := Open(context.Background(), dir, Options{MaxConnectors: 1_000_000})
	for i := 0; err == nil; i++ {
		var c *Connector
		if c, err = s.Create(context.Background(), example(fmt.Sprint("connector-", i))); err == nil {
			_, err = fmt.Println(c.ID)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func TestKillLosesNoAnsweredWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 3 { // the second and third start from what a kill left behind
		stored := writeUntilKilled(t, dir, 100+50*round)
		s, err := Open(t.Context(), dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range stored {
			if _, err := s.Get(t.Context(), "default", id); err != nil {
				t.Errorf("%s was answered and is lost: %v", id, err)
			}
			if err := s.Delete(t.Context(), "default", id); err != nil {
				t.Error(err)
			}
		}
		// The one that was being written when the process was killed.
		if err := s.Delete(t.Context(), "default", fmt.Sprint("connector-", len(stored))); err != nil && !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// writeUntilKilled runs a process that writes, kills it after some writes were
// answered and returns the ids of all that were.
func writeUntilKilled(t *testing.T, dir string, writes int) []string {
	t.Helper()
	writer := exec.CommandContext(t.Context(), os.Args[0])
	writer.Env = append(os.Environ(), writerEnv+"="+dir)
	writer.Stderr = t.Output()
	stdout, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if ids = append(ids, lines.Text()); len(ids) == writes {
			if err := writer.Process.Kill(); err != nil { // SIGKILL; what it printed before is still read
				t.Fatal(err)
			}
		}
	}
	if err := writer.Wait(); err == nil || len(ids) < writes {
		t.Fatalf("the writer ended after %d writes: %v", len(ids), err)
	}
	return ids
}
