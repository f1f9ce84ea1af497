package jira

import (
	"encoding/json"

	"patchbay.dev/shared/schema"
)

// member returns the value of a member of a JSON object, nil if there is none.
func member(object []byte, name string) []byte {
	start, end, ok := schema.Find(object, name)
	if !ok {
		return nil
	}
	return object[start:end]
}

// elements returns the elements of a JSON array, each as [plain] text.
func elements(array []byte) []string {
	var raw []json.RawMessage
	if json.Unmarshal(array, &raw) != nil {
		return nil
	}
	texts := make([]string, len(raw))
	for i := range raw {
		texts[i] = plain(raw[i])
	}
	return texts
}

// plain returns the text of a JSON string, and any other value as it stands.
func plain(value []byte) string {
	var s string
	if json.Unmarshal(value, &s) == nil && value[0] == '"' {
		return s
	}
	return string(value)
}
