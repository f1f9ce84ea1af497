package access

import "regexp"

// SpaceRule is what [IsSpace] asks for, in words.
const SpaceRule = "a space id has 1 to 64 lower-case letters, digits, hyphens and underscores"

var spaceID = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

// IsSpace reports whether id can be the id of a space.
func IsSpace(id string) bool { return spaceID.MatchString(id) }
