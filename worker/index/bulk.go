package index

import (
	"bytes"
	"encoding/json"
	"time"

	"patchbay.dev/shared/schema"
)

// action is the line before each document. Kibana sends op_type inside index,
// not create: Elasticsearch takes both for a create with an id of its own.
const action = `{"index":{"op_type":"create"}}` + "\n"

// bulkBody returns the NDJSON of a _bulk request. Documents stand in it as they
// were sent, but for line breaks between their parts and the member timeField,
// "" for none, which is set to now.
func bulkBody(documents []schema.Record, timeField string, now time.Time) []byte {
	size := 0
	for _, d := range documents {
		size += len(action) + len(d) + 1
	}
	var value []byte
	if timeField != "" {
		value = now.UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`)
		size += len(documents) * (len(timeField) + len(`"":,`) + len(value))
	}
	body := make([]byte, 0, size)
	for _, d := range documents {
		body = append(body, action...)
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
	for i, c := range b {
		if c == '\n' || c == '\r' {
			b[i] = ' '
		}
	}
}
