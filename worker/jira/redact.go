package jira

import (
	"encoding/json"
	"strings"
	"sync"

	"patchbay.dev/shared/connector"
	"patchbay.dev/worker/outbound"
)

// redactors keeps what replaces the secrets of a connector in what Jira, or something
// before it, says: it may repeat the request that it refuses, and to make a Replacer
// takes longer than to read a small answer.
type redactors struct {
	mu   sync.Mutex
	kept map[connector.JiraSecrets]*strings.Replacer
}

// Of so many secrets at most, each of so many bytes, the Replacers are kept: they may
// take 6 MiB.
const (
	keptRedactors = 256
	keptSecrets   = 256
)

func (r *redactors) of(s connector.JiraSecrets) *strings.Replacer {
	if len(s.Email)+len(s.APIToken) > keptSecrets {
		return redactor(s)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.kept[s]; known != nil {
		return known
	}
	if r.kept == nil || len(r.kept) == keptRedactors {
		r.kept = make(map[connector.JiraSecrets]*strings.Replacer)
	}
	made := redactor(s)
	r.kept[s] = made
	return made
}

func redactor(s connector.JiraSecrets) *strings.Replacer {
	return outbound.Redactor(outbound.BasicAuth(s.Email, s.APIToken)...)
}

// withoutSecrets is for a Jira, or something in its place, that repeats what it
// was sent in a good answer.
func (r *redactors) withoutSecrets(s connector.JiraSecrets, answer []byte) json.RawMessage {
	redacted := []byte(r.of(s).Replace(string(answer)))
	if !json.Valid(redacted) {
		return answer // the secret is a word of JSON itself, such as null
	}
	return redacted
}
