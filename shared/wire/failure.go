package wire

import (
	"encoding/json"
	"fmt"
	"time"
)

// Failure is an execution that ended without success, told in the fields of
// Kibana's _execute answer. Executors return it as an error.
type Failure struct {
	Message        string `json:"message"`
	ServiceMessage string `json:"service_message,omitempty"` // the destination's own words
	Retry          Retry  `json:"retry,omitzero"`
	Source         Source `json:"source"`
	// Unknown says that the destination may have carried the execution out.
	Unknown bool `json:"unknown,omitempty"`
	// Silent says that the worker was not heard of any more while it had the
	// execution: it may have died of it. Only who asked can tell, so that it never
	// crosses the broker.
	Silent bool `json:"-"`
}

// Error returns the message and, after a colon, the service message.
func (f *Failure) Error() string {
	if f.ServiceMessage == "" {
		return f.Message
	}
	return f.Message + ": " + f.ServiceMessage
}

// Source says on whose side the cause of a failure lies: Kibana's errorSource.
type Source string

// Sources.
const (
	User      Source = "user"      // what was sent, or the destination
	Framework Source = "framework" // the connector as stored, or Patchbay
)

// Retry is advice to the caller: again later, never, or not before a time. The
// zero value is no advice.
type Retry struct {
	given bool
	again bool
	at    time.Time
}

// RetryLater advises to try again.
func RetryLater() Retry { return Retry{given: true, again: true} }

// RetryNever advises against trying again.
func RetryNever() Retry { return Retry{given: true} }

// RetryAt advises to try again at t, kept in milliseconds and UTC; a year that
// has not four digits says no more than [RetryLater].
func RetryAt(t time.Time) Retry {
	t = t.UTC().Truncate(time.Millisecond)
	if y := t.Year(); t.IsZero() || y < 0 || y > 9999 {
		return RetryLater()
	}
	return Retry{given: true, again: true, at: t}
}

// IsZero reports whether there is no advice.
func (r Retry) IsZero() bool { return !r.given }

const isoMillis = "2006-01-02T15:04:05.000Z"

// MarshalJSON returns true, false or a time like "2026-01-02T03:04:05.678Z".
func (r Retry) MarshalJSON() ([]byte, error) {
	switch {
	case !r.given:
		return []byte("null"), nil
	case r.at.IsZero():
		return fmt.Appendf(nil, "%t", r.again), nil
	default:
		return []byte(r.at.Format(`"` + isoMillis + `"`)), nil
	}
}

// UnmarshalJSON implements [json.Unmarshaler].
func (r *Retry) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case "null":
		*r = Retry{}
	case "true":
		*r = RetryLater()
	case "false":
		*r = RetryNever()
	default:
		var t time.Time
		if err := json.Unmarshal(data, &t); err != nil {
			return fmt.Errorf("retry: %w", err)
		}
		*r = RetryAt(t)
	}
	return nil
}
