package index

import (
	"fmt"
	"strings"
	"unicode"
)

// checkName refuses what Elasticsearch would not take as the name of an index,
// in its words. Source: Elasticsearch 8.19, MetadataCreateIndexService. Above
// all a name cannot lead the request to another path or to many indices.
func checkName(name string) error {
	switch {
	case name == "":
		return badName(name, "must not be empty")
	case strings.ContainsAny(name, ` "*\<|,>/?`):
		return badName(name, `must not contain the following characters [' ','"','*','\','<','|',',','>','/','?']`)
	case strings.Contains(name, "#"):
		return badName(name, "must not contain '#'")
	case strings.Contains(name, ":"):
		return badName(name, "must not contain ':'")
	case strings.ContainsFunc(name, unicode.IsControl):
		return badName(name, "must not contain control characters")
	case strings.HasPrefix(name, "_"), strings.HasPrefix(name, "-"), strings.HasPrefix(name, "+"):
		return badName(name, "must not start with '_', '-', or '+'")
	case name == ".", name == "..":
		return badName(name, "must not be '.' or '..'")
	case len(name) > 255:
		return badName(name, fmt.Sprintf("index name is too long, (%d > 255)", len(name)))
	case strings.ToLower(name) != name:
		return badName(name, "must be lowercase")
	default:
		return nil
	}
}

func badName(name, rule string) error {
	if len(name) > 300 {
		name = strings.ToValidUTF8(name[:300], "") + "…" // the cut may go through a letter
	}
	//lint:ignore ST1005 Elasticsearch's sentence
	return fmt.Errorf("Invalid index name [%s], %s", name, rule)
}
