package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/api/sqlite"
	"patchbay.dev/shared/wire"
)

func TestRestartGivesTheDestinationTimeToShowWhatItDid(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	slow := example("slow")
	slow.Safe, slow.Settle = true, time.Hour
	l.mustAccept(t, slow)
	if job := l.mustClaim(t, 1); job.Settle != time.Hour {
		t.Errorf("Settle: %s, want 1h", job.Settle)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	e, _ := open(t, l.dir, l.options).mustGet(t, "slow")
	if wait := e.DueAt.Sub(e.Attempt.EndedAt); e.State != Queued || wait != time.Hour {
		t.Errorf("%s, due in %s, want queued and due in 1h", e.State, wait)
	}
}

func TestRestartPutsBackWhatWasRunning(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{SealParams: mark})
	safe, unsafe := example("safe"), example("unsafe")
	safe.Safe = true
	l.mustAccept(t, safe, unsafe, example("waits"))
	l.begin(t, keyed("sync", 1))
	l.mustClaim(t, 1)
	l.mustClaim(t, 2)
	if err := l.Close(); err != nil { // as a kill would: nothing ended
		t.Fatal(err)
	}

	again := open(t, l.dir, l.options)
	got := map[string]string{}
	for _, id := range []string{"safe", "unsafe", "waits", "sync"} {
		e, attempts := again.mustGet(t, id)
		message := ""
		if len(attempts) > 0 {
			message = attempts[0].Failure.Message
		}
		got[id] = fmt.Sprint(e.State, " ", e.Class, "/", e.Outcome, " ", e.Attempt.Number, " ", e.Replayable, " ", message)
	}
	want := map[string]string{
		"safe":   "queued /unknown 1 false " + interrupted,
		"unsafe": "dead unknown/unknown 1 true " + interrupted,
		"waits":  "queued / 0 false ",
		"sync":   "done unknown/unknown 1 false " + interrupted,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after the restart (-want +got):\n%s", diff)
	}
	again.wantQueued(t, 2, 2)
	job := again.mustClaim(t, 1)
	if job.Attempt.Number != 2 || string(job.Params) != string(safe.Params) {
		t.Errorf("job %+v", job)
	}
	if _, attempts := again.mustGet(t, "safe"); len(attempts) != 2 || attempts[0].Outcome != wire.Unknown {
		t.Errorf("attempts %+v", attempts)
	}
	if seq := again.mustAccept(t, example("new"))[0].Seq; seq != 5 {
		t.Errorf("the next one is %d, want 5", seq)
	}
	// What died with the process is sealed as soon as the next one runs.
	if err := again.sealAll(t.Context()); err != nil {
		t.Error(err)
	}
	if sealed, err := again.SealedParams(t.Context(), 0, 10); err != nil || len(sealed) != 1 || sealed[0].ID != "unsafe" {
		t.Errorf("sealed %+v, %v", sealed, err)
	}
}

// closedFile makes a database with some executions and returns its file.
func closedFile(t *testing.T) string {
	t.Helper()
	l := setup(t, Options{})
	submissions := make([]Submission, 300)
	for i := range submissions {
		submissions[i] = example(fmt.Sprint(i))
	}
	l.mustAccept(t, submissions...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(l.dir, FileName)
}

func wantRefusal(t *testing.T, file string, want error) {
	t.Helper()
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), filepath.Dir(file), Options{})
	if err == nil {
		l.Close()
		t.Fatal("opened")
	}
	if !errors.Is(err, want) || !strings.HasPrefix(err.Error(), "open "+file+": ") {
		t.Errorf("error %q, want the file and %q", err, want)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed; %v", err)
	}
}

func TestDamagedFileIsRefused(t *testing.T) {
	t.Parallel()
	const page = 4096
	file := closedFile(t)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"no database": func([]byte) []byte { return []byte("hello") },
		"cut":         func(b []byte) []byte { return b[:len(b)-100] },
		"half":        func(b []byte) []byte { return b[:len(b)/page/2*page] },
		"first page":  func(b []byte) []byte { return append(bytes.Repeat([]byte{0xa5}, page), b[page:]...) },
		"last page":   func(b []byte) []byte { return append(b[:len(b)-page], bytes.Repeat([]byte{0xa5}, page)...) },
	} {
		if err := os.WriteFile(file, damage(bytes.Clone(whole)), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { wantRefusal(t, file, sqlite.ErrDamaged) })
	}
}

func TestFileOfANewerVersionIsRefused(t *testing.T) {
	t.Parallel()
	file := closedFile(t)
	db, err := sqlite.Writer(file, busyTimeout, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, file, sqlite.ErrNewer)
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	l.mustAccept(t, example("a"))
	for _, name := range []string{FileName, FileName + "-wal", FileName + "-shm"} {
		info, err := os.Stat(filepath.Join(l.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 {
			t.Errorf("%s: mode %s", name, info.Mode())
		}
	}
}

func TestTablesAreStrictAndWritesAreSynced(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	var loose int
	const query = `SELECT count(*) FROM pragma_table_list WHERE name IN ('execution', 'attempt', 'payload', 'answer') AND strict`
	if err := l.read.GetContext(t.Context(), &loose, query); err != nil || loose != 4 {
		t.Errorf("%d tables are strict, %v", loose, err)
	}
	got := map[string]string{}
	err := l.do(t.Context(), &op{weight: 1, apply: func(g *group) error {
		for _, pragma := range []string{"journal_mode", "synchronous", "foreign_keys", "secure_delete"} {
			var value string
			if err := g.row("PRAGMA " + pragma).Scan(&value); err != nil {
				return err
			}
			got[pragma] = value
		}
		return nil
	}})
	want := map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "secure_delete": "1"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("pragmas (-want +got):\n%s%v", diff, err)
	}
}

func TestClosedLedgerRefuses(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(t.Context(), []Submission{example("a")}); !errors.Is(err, errClosed) {
		t.Errorf("error %v", err)
	}
}
