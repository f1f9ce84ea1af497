// Package access says who a caller is and what he may do: API keys, their
// privileges, and the credentials in which they are sent.
package access

import "slices"

// Level is what a route asks of its caller; each includes those before it.
type Level int

// Levels. Read, All and Admin are Kibana's privileges of "Actions and
// Connectors", the last one that of a superuser.
const (
	Anyone        Level = iota + 1 // also without credentials
	Authenticated                  // with any key
	Read                           // get, list and execute in the space
	All                            // create, update and delete too
	Admin                          // keys, spaces and the operator's routes too
)

// EverySpace stands for all spaces in a list of them.
const EverySpace = "*"

// Privileges are what a key may do. The zero value may do nothing.
type Privileges struct {
	Admin bool     `json:"admin,omitempty"` // everything, everywhere
	All   []string `json:"all,omitempty"`   // spaces, or EverySpace
	Read  []string `json:"read,omitempty"`  // spaces, or EverySpace
	// Indices are patterns of the indices that ".index" executions may write to; nil
	// for those that the worker itself may.
	Indices []string `json:"indices,omitempty"`
}

// Allow reports whether the level is granted in a space.
func (p *Privileges) Allow(level Level, space string) bool {
	switch level {
	case Anyone, Authenticated:
		return true
	case Read:
		return p.Admin || grants(p.All, space) || grants(p.Read, space)
	case All:
		return p.Admin || grants(p.All, space)
	case Admin:
		return p.Admin
	default:
		return false // a level that nobody has thought of
	}
}

func grants(spaces []string, space string) bool {
	return slices.Contains(spaces, space) || slices.Contains(spaces, EverySpace)
}
