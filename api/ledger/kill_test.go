package ledger

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// acceptForever accepts executions, by several callers at once, and prints the id of
// each once it is accepted.
func acceptForever(dir string) {
	l, err := Open(context.Background(), dir, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	base := l.seq
	var callers sync.WaitGroup
	for c := range 8 {
		callers.Go(func() {
			for i := 0; ; i++ {
				s := example(fmt.Sprintf("%d-%d-%d", base, c, i))
				a, err := l.Accept(context.Background(), []Submission{s, example(s.ID + "b")})
				if err != nil || a[0].Err != nil || a[1].Err != nil {
					fmt.Fprintln(os.Stderr, a, err)
					os.Exit(1)
				}
				// In one write: what a kill cuts off is no whole line.
				if _, err := fmt.Printf("%s\n%sb\n", s.ID, s.ID); err != nil {
					os.Exit(1)
				}
			}
		})
	}
	callers.Wait()
}

func TestKillLosesNothingThatWasAccepted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	accepted := map[string]bool{}
	for range 3 { // the second and third start from what a kill left behind
		seed := rand.Uint64()
		n := 200 + rand.New(rand.NewPCG(seed, 0)).IntN(2000)
		t.Logf("seed %d: killed after %d", seed, n)
		for _, id := range acceptUntilKilled(t, dir, n) {
			accepted[id] = true
		}
		l := open(t, dir, Options{})
		var ids []string
		if err := l.read.SelectContext(t.Context(), &ids, `SELECT e.id FROM execution e JOIN payload p ON p.seq = e.seq`); err != nil {
			t.Fatal(err)
		}
		stored := map[string]int{}
		for _, id := range ids {
			stored[id]++
		}
		for id := range accepted {
			if stored[id] != 1 {
				t.Errorf("%s was accepted and is there %d times", id, stored[id])
			}
			delete(stored, id)
		}
		for id, n := range stored { // written, and killed before it was said
			if n != 1 {
				t.Errorf("%s is there %d times", id, n)
			}
			accepted[id] = true
		}
		if got := l.Stats().Queued; got != len(accepted) {
			t.Errorf("%d are queued, want %d", got, len(accepted))
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// acceptUntilKilled runs a process that accepts, kills it after some were accepted and
// returns the ids of all that were.
func acceptUntilKilled(t *testing.T, dir string, count int) []string {
	t.Helper()
	acceptor := exec.CommandContext(t.Context(), os.Args[0])
	acceptor.Env = append(os.Environ(), acceptorEnv+"="+dir)
	acceptor.Stderr = t.Output()
	stdout, err := acceptor.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := acceptor.Start(); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if ids = append(ids, lines.Text()); len(ids) == count {
			if err := acceptor.Process.Kill(); err != nil { // SIGKILL; what it printed before is still read
				t.Fatal(err)
			}
		}
	}
	if err := acceptor.Wait(); err == nil || len(ids) < count {
		t.Fatalf("the acceptor ended after %d: %v", len(ids), err)
	}
	return ids
}
