package access

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"patchbay.dev/shared/wire"
)

// FieldError says which part of the privileges of a new key is wrong.
type FieldError struct {
	Field  string // "" for all of them
	Reason string
}

func (e *FieldError) Error() string { return e.In("") }

// In names the field after a prefix: "-" as on a command line, for example.
func (e *FieldError) In(prefix string) string {
	if e.Field == "" {
		return e.Reason
	}
	return prefix + e.Field + ": " + e.Reason
}

// What a request of the key is compared with, at most.
const (
	maxPatterns = 100
	maxSpaces   = 1000
)

// Check refuses privileges that no key can have; the error is a *[FieldError].
func (p *Privileges) Check() error {
	for _, list := range []struct {
		name   string
		spaces []string
	}{{"all", p.All}, {"read", p.Read}} {
		if len(list.spaces) > maxSpaces {
			return &FieldError{list.name, fmt.Sprintf("at most %d spaces are expected, not %d; * stands for every one", maxSpaces, len(list.spaces))}
		}
		for _, space := range list.spaces {
			if space != EverySpace && !IsSpace(space) {
				return &FieldError{list.name, fmt.Sprintf("%q is neither a space id nor *: %s", space, SpaceRule)}
			}
		}
	}
	for _, pattern := range p.Indices {
		if err := wire.CheckPattern(pattern); err != nil {
			return &FieldError{"indices", err.Error()}
		}
	}
	switch {
	case len(p.Indices) > maxPatterns:
		return &FieldError{"indices", fmt.Sprintf("at most %d patterns are expected, not %d", maxPatterns, len(p.Indices))}
	case !p.Admin && len(p.All) == 0 && len(p.Read) == 0:
		return &FieldError{"", "a key needs at least one of admin, all and read"}
	case p.Admin && p.Indices != nil:
		return &FieldError{"indices", "an admin cannot be limited to indices, since he can make a key that is not"}
	case p.Indices != nil && len(p.Indices) == 0:
		return &FieldError{"indices", "name at least one pattern, or leave it out for no limit"}
	default:
		return nil
	}
}

// longest is the longest time that a key may be valid, in days.
const longest = 36500

var expiration = regexp.MustCompile(`^([0-9]{1,10})(d|h|m|s)$`)

// ParseExpiration reads a time as Elasticsearch writes it: "30d", "12h", "90m" or
// "60s", above 0 and at most 36500 days.
func ParseExpiration(text string) (time.Duration, error) {
	unit := map[string]time.Duration{"d": 24 * time.Hour, "h": time.Hour, "m": time.Minute, "s": time.Second}
	if found := expiration.FindStringSubmatch(text); found != nil {
		n, err := strconv.ParseInt(found[1], 10, 64)
		each := unit[found[2]]
		if err == nil && n > 0 && n <= int64(longest*unit["d"]/each) {
			return time.Duration(n) * each, nil
		}
	}
	return 0, fmt.Errorf(`%q is no time such as "30d", "12h", "90m" or "60s" (at most %d days)`, text, longest)
}
