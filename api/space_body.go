package api

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf16"

	"patchbay.dev/api/access"
	"patchbay.dev/api/store"
)

const (
	maxSpaceID  = 64
	maxInitials = 2
)

// The rules of a space's fields and their words are Kibana 8.19's, but for the
// length of an id: it stands in URLs.

type newSpaceID string

// Check implements [schema.Checker].
func (id newSpaceID) Check() string {
	switch {
	case access.IsSpace(string(id)):
		return ""
	case len(id) > maxSpaceID:
		return fmt.Sprintf("value has length [%d] but it must have a maximum length of [%d].", length(string(id)), maxSpaceID)
	default:
		return "must be lower case, a-z, 0-9, '_', and '-' are allowed"
	}
}

type spaceName string

// Check implements [schema.Checker].
func (n spaceName) Check() string {
	if n == "" {
		return "value has length [0] but it must have a minimum length of [1]."
	}
	return connectorName(n).Check()
}

type initials string

// Check implements [schema.Checker].
func (i initials) Check() string {
	if n := length(string(i)); n > maxInitials {
		return fmt.Sprintf("value has length [%d] but it must have a maximum length of [%d].", n, maxInitials)
	}
	return ""
}

type color string

var sixDigits = regexp.MustCompile(`^#[a-zA-Z0-9]{6}$`) // not only hexadecimal ones, in Kibana as here

// Check implements [schema.Checker].
func (c color) Check() string {
	if !sixDigits.MatchString(string(c)) {
		return "must be a 6 digit hex color, starting with a #"
	}
	return ""
}

type imageURL string

// Check implements [schema.Checker].
func (u imageURL) Check() string {
	if u != "" && !strings.HasPrefix(string(u), "data:image") {
		return "must start with 'data:image'"
	}
	return ""
}

type solution string

// OneOf implements [schema.Enum].
func (solution) OneOf() []string { return []string{"es", "oblt", "security", "classic"} }

// length counts as JavaScript does.
func length(s string) int { return len(utf16.Encode([]rune(s))) }

// spaceBody is the body of a create and of an update.
type spaceBody struct {
	ID               newSpaceID `json:"id"` // an update ignores it: the path has the word
	Name             spaceName  `json:"name"`
	Description      *string    `json:"description" maybe:"yes"`
	Initials         *initials  `json:"initials" maybe:"yes"`
	Color            *color     `json:"color" maybe:"yes"`
	DisabledFeatures []string   `json:"disabledFeatures" default:"[]"`
	Reserved         *bool      `json:"_reserved" maybe:"yes"` // ignored
	ImageURL         *imageURL  `json:"imageUrl" maybe:"yes"`
	Solution         *solution  `json:"solution" maybe:"yes"`
}

func (b *spaceBody) space(id string) store.Space {
	return store.Space{
		ID: id, Name: string(b.Name), Description: b.Description, Color: (*string)(b.Color), Initials: (*string)(b.Initials),
		ImageURL: (*string)(b.ImageURL), Solution: (*string)(b.Solution), DisabledFeatures: b.DisabledFeatures,
	}
}

// spaceAnswer is a space as it is answered: what was never set is left out, or
// Terraform would see a change where there is none.
type spaceAnswer struct {
	ID               string   `json:"id"`
	Name             string   `json:"name"`
	Description      *string  `json:"description,omitempty"`
	Color            *string  `json:"color,omitempty"`
	Initials         *string  `json:"initials,omitempty"`
	ImageURL         *string  `json:"imageUrl,omitempty"`
	DisabledFeatures []string `json:"disabledFeatures"`
	Reserved         bool     `json:"_reserved,omitempty"`
	Solution         *string  `json:"solution,omitempty"`
}

func presentSpace(s *store.Space) spaceAnswer {
	return spaceAnswer{
		ID: s.ID, Name: s.Name, Description: s.Description, Color: s.Color, Initials: s.Initials, ImageURL: s.ImageURL,
		DisabledFeatures: s.DisabledFeatures, Reserved: s.ID == defaultSpace, Solution: s.Solution,
	}
}
