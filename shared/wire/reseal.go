package wire

// ResealSubject returns the subject on which workers of a type, as [QueueGroup],
// seal secrets anew. The api publishes a [ResealRequest] there; a worker answers
// with a [ResealReply] or with the signal [Busy].
func ResealSubject(typeID string) (string, error) { return subject("reseal.", typeID) }

// ResealRequest asks a worker to seal secrets to the newest of its own keys, or,
// without items, which key that is. It names no key: one from here would open them
// to whoever can publish.
type ResealRequest struct {
	Items []Sealed `json:"items"`
}

// Sealed is secrets with what they are bound to; base64 in JSON.
type Sealed struct {
	Binding []byte `json:"binding"` // of space, connector id, type and config
	Secrets []byte `json:"secrets"` // sealed to any key of the workers
}

// ResealReply has a result for each item of the request, in its order.
type ResealReply struct {
	Items []Resealed `json:"items"`
	// Key answers a request without items: the id of the worker's newest key, in
	// hexadecimal; none from a worker without a key.
	Key string `json:"key,omitempty"`
}

// Resealed is what came of one item: secrets, sealed anew, or an error that the
// operator may read.
type Resealed struct {
	Secrets []byte `json:"secrets,omitempty"`
	Error   string `json:"error,omitempty"`
}
