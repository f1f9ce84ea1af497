package jira

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"patchbay.dev/shared/wire"
)

// An execution whose id the caller gave may be run again, and then must not make
// a second issue. What holds, and what does not:
//
//   - The issue carries a label made of the id. Every run searches for it before
//     it creates, so that any worker finds what any other made. Only the first
//     attempt of an execution that is on record does not: nothing ran before it.
//   - Jira's search trails behind its writes by seconds. This worker therefore also
//     remembers what it created, and lets runs of one id pass one after another.
//     After a create of which the answer was lost it creates no second issue for a
//     time, even if the search finds none.
//   - Two workers that run one id within the delay of the search can still make
//     two issues: Jira has no create that is refused the second time.
//   - Comments are compared by their text, white space aside. If Jira changes a
//     text, a run in another worker adds that comment again. For an update only
//     this worker's memory counts: an equal comment may be someone else's. So an
//     update with comments is not safe to repeat, and one without them is, see
//     connector.Jira.

// settle is how long after a create without an answer the search is not believed
// when it finds nothing.
const settle = 30 * time.Second

// maxRecords is how many executions a worker remembers.
const maxRecords = 4096

// labelOf returns the label of an issue that a job with a given id creates.
func labelOf(job jiraJob) string {
	sum := sha256.Sum256([]byte(job.Space + "|" + job.ConnectorID + "|" + job.ExecutionID))
	return "patchbay-" + hex.EncodeToString(sum[:])[:20]
}

// record is what this worker knows of an execution with a given id. Only the run
// that entered it may look.
type record struct {
	issue    ref             // zero until it was created or found
	again    bool            // an earlier run may have added comments
	lost     time.Time       // when a create got no answer
	comments map[note]string // the dates of those added by this worker
	turn     chan struct{}   // holds a token while nobody is in
	users    int             // in or waiting; under the ledger's mu
}

// note is a comment at its place in the params.
type note struct {
	n   int
	sum [sha256.Size]byte // of the text, which may be long
}

func noteOf(n int, text string) note { return note{n, sha256.Sum256([]byte(text))} }

// ledger remembers executions by their labels and, for updates, the issue: one id
// may stand for the creation of an issue and for updates of several.
type ledger struct {
	mu      sync.Mutex
	records map[string]*record
	order   []string // oldest first
}

func newLedger() *ledger { return &ledger{records: make(map[string]*record)} }

// enter returns the record of an execution when no other run of it is in. Call
// leave at the end of the run.
func (l *ledger) enter(ctx context.Context, label string) (r *record, leave func(), err error) {
	l.mu.Lock()
	r = l.records[label]
	if r == nil {
		l.forgetOldest()
		r = &record{turn: make(chan struct{}, 1), comments: make(map[note]string)}
		r.turn <- struct{}{}
		l.records[label] = r
		l.order = append(l.order, label)
	}
	r.users++
	l.mu.Unlock()
	out := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		r.users--
	}
	select {
	case <-r.turn:
		return r, func() { r.turn <- struct{}{}; out() }, nil
	case <-ctx.Done():
		out()
		return nil, nil, context.Cause(ctx)
	}
}

// forgetOldest makes room for a record. Those in use stay; there are no more of
// them than executions that run at once.
func (l *ledger) forgetOldest() {
	for range l.order {
		if len(l.records) < maxRecords {
			return
		}
		label := l.order[0]
		l.order = l.order[1:]
		if l.records[label].users > 0 {
			l.order = append(l.order, label)
			continue
		}
		delete(l.records, label)
	}
}

// findCreated looks for the issue that an earlier run of the execution created
// and puts it into the record.
func (s *session) findCreated(ctx context.Context, what string, job jiraJob, r *record) error {
	if r.issue != (ref{}) {
		r.again = true
		return nil
	}
	if job.Attempt == 1 && r.lost.IsZero() {
		return nil
	}
	// In every project: other fields may have put the issue into another one, or
	// someone may have moved it. The label is enough to tell it.
	found, err := s.find(ctx, "labels = "+quote(labelOf(job)))
	if err != nil {
		return failed("Unable to get issues", err)
	}
	for _, i := range found { // a clone of the issue has its labels; the original is older
		if r.issue.ID == "" || len(i.ID) < len(r.issue.ID) || len(i.ID) == len(r.issue.ID) && i.ID < r.issue.ID {
			r.issue = ref{i.ID, i.Key}
		}
	}
	if len(found) > 0 {
		r.again = true
		if r.issue.ID == "" {
			return failed("Unable to get issues", missing([]string{"id", "key"}))
		}
		return nil
	}
	if until := r.lost.Add(settle); s.now().Before(until) {
		failure := failed(what, errors.New("an earlier attempt may have created the issue, which Jira's search does not show yet"))
		failure.Retry, failure.Unknown = wire.RetryAt(until), true
		return failure
	}
	return nil
}

// second is what a run does that comes after one that did some of its work.
type second int

const (
	repeats        second = iota // the same work again
	goesOn                       // it finds that work
	changesNothing               // the same work again, which makes no difference
)

// secondRun tells of an execution that failed at a comment.
func secondRun(job jiraJob, update bool, added int) second {
	switch {
	case update && added == 0:
		return changesNothing
	case job.Given && !update:
		return goesOn
	default:
		return repeats
	}
}

// partly is the failure of an execution that did some of its work: it says what,
// and whether to run it again.
func partly(err error, said string, then second) error {
	failure, ok := errors.AsType[*wire.Failure](err)
	if !ok {
		return err
	}
	add(failure, said)
	switch {
	case then == repeats:
		failure.Retry = wire.RetryNever()
	case then == goesOn && !failure.Unknown && failure.Retry == wire.RetryNever():
		failure.Retry = wire.RetryLater() // what was refused may be granted by then
	}
	return failure
}
