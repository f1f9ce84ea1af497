package ledger

import (
	"strings"
	"time"
	"unicode/utf8"

	"patchbay.dev/shared/wire"
)

// State is where a durable execution stands. One that was answered at once is only
// ever Running (with a key) or Done.
type State string

// States.
const (
	Queued  State = "queued"  // waits for its first or next attempt
	Running State = "running" // an attempt is under way
	Done    State = "done"    // ended, with any outcome if nobody waited for more
	Dead    State = "dead"    // ended without success: a dead letter
)

// Cancelled is the outcome of an execution whose caller left, or that was discarded
// before it ended. The other outcomes are wire's.
const Cancelled wire.Outcome = "cancelled"

// Class says why an execution did not succeed.
type Class string

// Classes.
const (
	Refused   Class = "refused"   // the destination, or a check before it, said no for good
	Exhausted Class = "exhausted" // every attempt failed in a way that might have passed
	Unknown   Class = "unknown"   // it may have been carried out, and is not safe to repeat
	Expired   Class = "expired"   // it was too old for another attempt
	Deleted   Class = "deleted"   // its connector is gone
	Disabled  Class = "disabled"  // its type is not there any more
	Poison    Class = "poison"    // workers died on it
	TooLarge  Class = "too_large" // the broker does not take it
	Invalid   Class = "invalid"   // what was submitted over the broker could not be accepted
)

// Attempt is one run of an execution.
type Attempt struct {
	Number    int       // 1 for the first
	Last      bool      // no other follows
	DueAt     time.Time // when it could have begun
	StartedAt time.Time
	EndedAt   time.Time     // zero while it runs
	Queue     time.Duration // from DueAt to StartedAt
	Dispatch  time.Duration // until a worker began, and for the way back
	Run       time.Duration // in the worker, as it says
	Outcome   wire.Outcome  // "" while it runs
	Failure   *wire.Failure // nil if it went well; its texts are at most 2 KiB each
	Worker    string        // "" if none answered
}

// failure returns what is written of it; empty if it went well.
func (a *Attempt) failure() (f wire.Failure) {
	if a.Failure != nil {
		f = *a.Failure
	}
	return f
}

// Execution is one execution as it is told of. It never has params or secrets.
type Execution struct {
	Seq           int64 // order in the database
	ID            string
	Space         string
	ConnectorID   string
	ConnectorName string
	Type          string // with its dot
	Durable       bool   // it was queued, not answered at once
	State         State
	Outcome       wire.Outcome // of the last attempt; "" for none yet
	Class         Class        // "" unless it failed
	CreatedAt     time.Time
	QueuedAt      time.Time // accepted or, replayed, due for the first time: its age counts from here
	DueAt         time.Time // of the next attempt, while queued
	EndedAt       time.Time // zero before
	Attempt       Attempt   // the last one that began; zero for none
	MaxAttempts   int
	Bytes         int    // of the params
	TraceID       string // W3C, 32 hexadecimal signs; "" for none
	Key           string // idempotency key; "" for none
	Replayable    bool   // a dead letter whose params were kept
}

// maxText is how many bytes of a text are kept.
const maxText = 2 << 10

// text returns as much of s as is kept, in valid UTF-8.
func text(s string) string {
	if len(s) <= maxText && utf8.ValidString(s) {
		return s
	}
	s = strings.ToValidUTF8(s[:min(len(s), maxText+utf8.UTFMax)], "\uFFFD")
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// micros is how a time stands in the database.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
