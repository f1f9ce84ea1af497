// Package connector says what each connector type is: its name, the shape of
// its config, secrets and params, their defaults and their rules. One file per
// type; [All] is the list.
package connector

import (
	"bytes"
	"encoding/json"
	"errors"

	"patchbay.dev/shared/schema"
)

// About is what the list of connector types tells of a type.
type About struct {
	ID       string   // with its dot: ".index"
	Name     string   // for people: "Index"
	License  string   // Kibana's minimum_license_required: "basic", "gold", …
	Features []string // Kibana's supported_feature_ids, in its order
}

// Type is the contract of one connector type. C, S and P are the structs of its
// config, secrets and params: they are the schema.
type Type[C, S, P any] struct {
	About
	// CheckConfig refuses a config that leads where the hosts do not allow; nil if
	// the type has no address in its config.
	CheckConfig func(C, Hosts) error
	// Check refuses a config and secrets that are each valid but do not go
	// together; nil if all do.
	Check func(C, S) error
	// Repeat is the policy of an execution with these params; nil for the zero
	// Policy.
	Repeat func(P) Policy
}

// Definition is a Type without its Go types, for those who only need to know
// whether JSON conforms.
type Definition interface {
	Describe() About
	// Normalize checks a config and secrets as they were sent, and returns both as
	// they are kept: defaults filled in, fields in their order. The error is an
	// *[Invalid].
	Normalize(config, secrets []byte, hosts Hosts) (normalConfig, normalSecrets json.RawMessage, err error)
	// HasSecrets tells whether the type takes any secrets.
	HasSecrets() bool
	// Policy checks the params of an execution, of which nothing is known, and tells
	// how often it may be run. The error is an *[Invalid].
	Policy(params []byte) (Policy, error)
}

// None is the config or secrets of a type that takes none: an empty object.
type None struct{}

// Invalid is a part of a connector or execution that its type refuses.
type Invalid struct {
	Part string // "type config", "type secrets", "type connector" or "params"
	Err  error
}

// Error returns Kibana 8.19's sentence: "error validating action type config:
// [index]: expected value of type [string] but got [undefined]".
func (e *Invalid) Error() string { return "error validating action " + e.Part + ": " + e.Err.Error() }

// Unwrap returns the refusal itself.
func (e *Invalid) Unwrap() error { return e.Err }

// Describe returns what the list of types tells.
func (t Type[C, S, P]) Describe() About { return t.About }

// HasSecrets tells whether the type takes any secrets.
func (t Type[C, S, P]) HasSecrets() bool {
	var s S
	_, none := any(s).(None)
	return !none
}

// Params decodes and checks the params of one execution, of which nothing is known.
func (t Type[C, S, P]) Params(raw []byte) (params P, err error) {
	if len(raw) == 0 { // what is absent is refused as such, field by field
		return part[P]("params", raw)
	}
	if err := schema.Read(raw, schema.MaxDepth, &params); err != nil {
		return params, &Invalid{Part: "params", Err: err}
	}
	return params, nil
}

// Connector decodes and checks a config and secrets, then both together. Empty
// secrets stand for none were given.
func (t Type[C, S, P]) Connector(config, secrets []byte, hosts Hosts) (c C, s S, err error) {
	if c, err = part[C]("type config", config); err != nil {
		return c, s, err
	}
	if t.CheckConfig != nil {
		if err := t.CheckConfig(c, hosts); err != nil {
			return c, s, &Invalid{Part: "type config", Err: err}
		}
	}
	if s, err = part[S]("type secrets", secrets); err != nil {
		return c, s, err
	}
	if t.Check == nil {
		return c, s, nil
	}
	if err := t.Check(c, s); err != nil {
		return c, s, &Invalid{Part: "type connector", Err: err}
	}
	return c, s, nil
}

// Normalize implements [Definition].
func (t Type[C, S, P]) Normalize(config, secrets []byte, hosts Hosts) (normalConfig, normalSecrets json.RawMessage, err error) {
	c, s, err := t.Connector(config, secrets, hosts)
	if err != nil {
		return nil, nil, err
	}
	if normalConfig, err = encode(c); err != nil {
		return nil, nil, err
	}
	if normalSecrets, err = encode(s); err != nil {
		return nil, nil, err
	}
	return normalConfig, normalSecrets, nil
}

// encode returns v as JSON that is not escaped for HTML.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

func part[T any](name string, raw []byte) (T, error) {
	var v T
	if err := schema.Decode(raw, &v); err != nil {
		return v, &Invalid{Part: name, Err: err}
	}
	return v, nil
}

// ErrUnknown is the error of [Find] for a type that is not registered.
var ErrUnknown = errors.New("connector type is not registered")

// Find returns the type with the given id, or [ErrUnknown].
func Find(id string) (Definition, error) {
	for _, d := range All {
		if d.Describe().ID == id {
			return d, nil
		}
	}
	return nil, ErrUnknown
}
