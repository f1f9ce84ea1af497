package jiratest

import (
	"maps"
	"slices"
)

// FaultNames are the names of all faults.
func FaultNames() []string { return slices.Sorted(maps.Keys(faults)) }
