package connector

import "time"

// Policy says how often an execution may be run before it went well. The zero
// value is for what nobody has thought about: the default number of attempts, and
// none after one that may have been carried out.
type Policy struct {
	Attempts int // at most; 0 for the default of the setting
	// Safe says that a run does no harm after one of which nobody knows whether it
	// was carried out: the destination has the effect once all the same, or twice is
	// as good.
	Safe bool
	// Settle is how long it takes at most until such a run sees what the one before
	// may have done; it is not begun sooner.
	Settle time.Duration
}

// Policy implements [Definition].
func (t Type[C, S, P]) Policy(params []byte) (Policy, error) {
	p, err := t.Params(params)
	if err != nil || t.Repeat == nil {
		return Policy{}, err
	}
	return t.Repeat(p), nil
}
