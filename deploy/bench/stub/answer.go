package main

import (
	"bytes"
	"net/http"
)

// issue is the answer to a request for a Jira issue.
func issue(b []byte, r *http.Request, _ []byte) []byte {
	b = append(b, `{"id":"10042","key":"`...)
	b = append(b, r.PathValue("id")...)
	return append(b, `","fields":{"summary":"Disk full on db-1","created":"2026-01-02T03:04:05.000+0000"}}`...)
}

var indexKey = []byte(`"_index":"`)

// bulk is the answer to a _bulk request: every document was written, each to the
// index that its action line names, or else the path.
func bulk(b []byte, r *http.Request, body []byte) []byte {
	path := r.PathValue("index")
	b = append(b, `{"errors":false,"took":1,"items":[`...)
	for first := true; len(body) > 0; first = false {
		var action []byte
		action, body, _ = bytes.Cut(body, []byte("\n"))
		_, body, _ = bytes.Cut(body, []byte("\n")) // the document
		if !first {
			b = append(b, ',')
		}
		b = append(b, `{"create":{"_index":"`...)
		if _, rest, found := bytes.Cut(action, indexKey); found {
			name, _, _ := bytes.Cut(rest, []byte(`"`))
			b = append(b, name...)
		} else {
			b = append(b, path...)
		}
		b = append(b, `","_id":"mXkTbZoBq2vEwA1yGk7c","_version":1,"result":"created",`...)
		b = append(b, `"_shards":{"total":2,"successful":1,"failed":0},"_seq_no":1,"_primary_term":1,"status":201}}`...)
	}
	return append(b, `]}`...)
}
