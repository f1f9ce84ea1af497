package wire

import "time"

// Again tells whether the advice is to try again, and when at the earliest; the zero
// time is any time.
func (r Retry) Again() (again bool, at time.Time) { return r.again, r.at }
