package api

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"patchbay.dev/api/queue"
)

func TestWhatIsToBeRunLaterIsCountedByTheVerdict(t *testing.T) {
	t.Parallel()
	c := setupCounted(t, options{perConnector: 2})
	for _, id := range []string{"a", "b", "m"} {
		c.create(id, serverLogBody)
	}
	later := func(id, body string, status int) {
		t.Helper()
		c.must(c.send("POST", "/api/actions/connector/"+id+"/_execute", body, prefer("respond-async"), header("Idempotency-Key", `"`+id+`"`)), status)
	}
	later("a", executeLog, http.StatusAccepted)
	later("a", executeLog, http.StatusAccepted) // known
	later("a", message("another"), http.StatusUnprocessableEntity)
	later("nobody", executeLog, http.StatusNotFound)

	const line = `{"id":"b","params":{"message":"m"}}` + "\n"
	c.must(c.sendBad("POST", bulkPath, strings.Repeat(line, 3)+"{\n", header("Content-Type", "application/x-ndjson")), http.StatusOK)
	later("b", executeLog, http.StatusTooManyRequests)

	const submitted = `{"id":"m","params":{"message":"m"},"key":"k"}`
	c.server.submitLines(t.Context(), "default", []queue.Line{
		{ID: "1", Body: []byte(submitted)},
		{ID: "1", Body: []byte(submitted)}, // it came before
		{ID: "2", Body: []byte(submitted)}, // known
		{ID: "3", Body: []byte(`{"id":"m","params":{"message":"other"},"key":"k"}`)},
		{ID: "4", Body: []byte(`{"id":"m","params":{"message":"m"}}`)},
		{ID: "5", Body: []byte(`{"id":"m","params":{"message":"m"}}`)}, // there is no room: it comes again
		{ID: "6", Body: []byte(`{`)},
	})
	const accepted, refused = "patchbay_queue_accepted_total", "patchbay_queue_refused_total"
	c.want(map[string]string{
		accepted + `{by="request"}`:                 "1",
		refused + `{by="request",reason="invalid"}`: "2",
		refused + `{by="request",reason="full"}`:    "1",
		accepted + `{by="bulk"}`:                    "2",
		refused + `{by="bulk",reason="full"}`:       "1",
		refused + `{by="bulk",reason="invalid"}`:    "1",
		accepted + `{by="message"}`:                 "2",
		refused + `{by="message",reason="invalid"}`: "2",
	}, accepted, refused)
}

// Who has left is not refused.
func TestLineThatIsNotReadIsCounted(t *testing.T) {
	t.Parallel()
	c := setupCounted(t, options{})
	b := &bulk{server: c.server}
	b.appendRefusal(nil, 1, "", unavailable("The api is stopping."))
	b.appendRefusal(nil, 2, "", context.Canceled)
	c.want(map[string]string{`patchbay_queue_refused_total{by="bulk",reason="other"}`: "1"}, "patchbay_queue_refused_total")
}
