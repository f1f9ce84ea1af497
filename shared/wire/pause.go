package wire

// PauseSubject returns the subject on which workers of a type tell each other that
// a destination wants to be left alone; the body is a [Pause], and nobody answers.
// An empty body only asks the broker whether it may be sent.
func PauseSubject(typeID string) (string, error) { return subject("pause.", typeID) }

// Pause says that a destination wants no requests for some time. Whoever hears of
// it believes it for a minute at the most.
type Pause struct {
	Host    string `json:"host"` // with its port
	Seconds int    `json:"seconds"`
}
