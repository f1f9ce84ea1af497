package jira

import (
	"context"
	"time"
)

// SetNow replaces the clock of an executor that runs nothing.
func SetNow(e *Executor, now func() time.Time) { e.now = now }

// Remembered returns how many executions are remembered after n that came one
// after another, while the first was still running.
func Remembered(ctx context.Context, n int, label func(int) string) (count int, first bool, err error) {
	l := newLedger()
	for i := range n {
		_, leave, err := l.enter(ctx, label(i))
		if err != nil {
			return 0, false, err
		}
		if i > 0 {
			leave()
		}
	}
	_, first = l.records[label(0)]
	return len(l.records), first, nil
}
