package index

import (
	"bytes"
	"encoding/json"
	"time"

	"patchbay.dev/shared/schema"
)

// action is the line before each document when the path names the index. Kibana
// sends op_type inside index, not create: Elasticsearch takes both for a create
// with an id of its own.
const action = `{"index":{"op_type":"create"}}` + "\n"

// actionFor is action when the path names no index.
func actionFor(index string) string {
	return `{"index":{"_index":` + string(appendString(nil, index)) + `,"op_type":"create"}}` + "\n"
}

// execution is what one caller wants to have written.
type execution struct {
	target    string
	documents []schema.Record
	timeField string // of every document, set to now; "" for none
	now       time.Time
	attempt   int      // 0 if it is not on record
	ids       []string // of the documents, nil for ids that the cluster makes
}

// linesSize returns how many bytes appendLines appends, at most but for a name of
// timeField that is escaped.
func linesSize(documents []schema.Record, ids []string, action, timeField int) int {
	each := action + 1
	if timeField > 0 {
		each += timeField + len(`"":"2006-01-02T15:04:05.000Z",`)
	}
	size := len(documents)*each + len(ids)*idSize
	for _, d := range documents {
		size += len(d)
	}
	return size
}

// bulkBody returns the NDJSON of a _bulk request for one index.
func bulkBody(documents []schema.Record, ids []string, timeField string, now time.Time) []byte {
	body := make([]byte, 0, linesSize(documents, ids, len(action), len(timeField)))
	return appendLines(body, action, documents, ids, timeField, now)
}

// appendLines appends NDJSON, each document after the line action, with its id in
// it unless ids is nil. Documents stand in it as they were sent, but for line breaks
// between their parts and the member timeField, "" for none, which is set to now.
func appendLines(body []byte, action string, documents []schema.Record, ids []string, timeField string, now time.Time) []byte {
	var value []byte
	if timeField != "" {
		value = now.UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`)
	}
	for i, d := range documents {
		if ids == nil {
			body = append(body, action...)
		} else {
			body = appendAction(body, action, ids[i])
		}
		start := len(body)
		if timeField == "" {
			body = append(body, d...)
		} else {
			body = appendWithTime(body, d, timeField, value)
		}
		// JSON strings hold no raw line break, so every one here is between tokens.
		oneLine(body[start:])
		body = append(body, '\n')
	}
	return body
}

// appendWithTime appends document with the value of the member name replaced by
// value, or with such a member added at the end, as an assignment in JavaScript
// does.
func appendWithTime(b []byte, document schema.Record, name string, value []byte) []byte {
	if start, end, found := schema.Find(document, name); found {
		b = append(b, document[:start]...)
		b = append(b, value...)
		return append(b, document[end:]...)
	}
	members := bytes.TrimRight(document[:bytes.LastIndexByte(document, '}')], " \t\r\n")
	b = append(b, members...)
	if len(bytes.TrimLeft(members, "{ \t\r\n")) > 0 {
		b = append(b, ',')
	}
	b = appendString(b, name)
	b = append(b, ':')
	b = append(b, value...)
	return append(b, '}')
}

// appendString appends s as JSON, not escaped for HTML.
func appendString(b []byte, s string) []byte {
	var encoded bytes.Buffer
	enc := json.NewEncoder(&encoded)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return append(b, bytes.TrimRight(encoded.Bytes(), "\n")...)
}

func oneLine(b []byte) {
	for _, end := range []byte("\n\r") {
		rest := b
		for i := bytes.IndexByte(rest, end); i >= 0; i = bytes.IndexByte(rest, end) {
			rest[i] = ' '
			rest = rest[i+1:]
		}
	}
}
