package index

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"patchbay.dev/shared/schema"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/outbound"
	"patchbay.dev/worker/pool"
)

const message = "error indexing documents" // Kibana's, for every failure

// refused is the failure of an execution of which nothing was sent, and which
// would not go better later.
func refused(reason string) *wire.Failure {
	return &wire.Failure{Message: message, ServiceMessage: reason, Source: wire.User}
}

// stopping is the failure of an execution that was not sent when the worker
// stopped.
func stopping() *wire.Failure {
	failure := refused(pool.ErrStopping.Error())
	failure.Retry = wire.RetryLater()
	return failure
}

// unknown is the failure of an execution that was sent and of which the cluster
// did not say what became.
func unknown(reason string) *wire.Failure {
	return &wire.Failure{
		Message:        message,
		ServiceMessage: "the outcome is unknown, the documents may have been written: " + reason,
		Retry:          wire.RetryNever(), // documents without an id would be written twice
		Source:         wire.User,
		Unknown:        true,
	}
}

// noAnswer is the failure of a request that ended without an answer.
func (e *Executor) noAnswer(ctx context.Context, err error, sent bool) *wire.Failure {
	reason := err.Error()
	if cause := context.Cause(ctx); cause != nil {
		reason = cause.Error()
	}
	if sent {
		return unknown(reason)
	}
	failure := refused(reason)
	failure.Retry = wire.RetryLater()
	return failure
}

// tooLarge answers for a response over the limit. Elasticsearch begins it with
// whether any document failed: then the outcome is known all the same.
func (e *Executor) tooLarge(response *esapi.Response, answer []byte) (json.RawMessage, error) {
	limit := e.overLimit()
	if response.IsError() {
		reason := strconv.Itoa(response.StatusCode) + ": " + limit
		return nil, refusedByCluster(response.StatusCode, response.Header, []byte(reason), e.now())
	}
	beginning, failed, known := beforeItems(answer)
	switch {
	case !known:
		return nil, unknown(limit)
	case failed:
		return nil, refused("some documents were not written: " + limit)
	}
	told := append(beginning, `"items":[]}`...)
	if wire.WellFormed(told) != nil { // its decoder is lax about UTF-8
		return nil, unknown(limit)
	}
	return told, nil
}

func (e *Executor) overLimit() string {
	return fmt.Sprintf("the cluster's answer is larger than %d bytes (PATCHBAY_MAX_RESPONSE)", e.maxResponse)
}

// beforeItems returns the bytes of a _bulk answer before its items, and whether
// any of them failed, if that is told there.
func beforeItems(answer []byte) (beginning []byte, failed, known bool) {
	d := json.NewDecoder(bytes.NewReader(answer))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, false, false
	}
	for {
		end := d.InputOffset()
		key, err := d.Token()
		if err != nil {
			return nil, false, false
		}
		if key == "items" {
			quote := int(end) + bytes.IndexByte(answer[end:], '"')
			return bytes.Clone(answer[:quote]), failed, known
		}
		value, err := d.Token()
		if _, nested := value.(json.Delim); err != nil || nested {
			return nil, false, false
		}
		if key == "errors" {
			failed, known = value.(bool)
		}
	}
}

// refusedByCluster is the failure of a request that the cluster, or something
// before it, answered with an error status.
func refusedByCluster(status int, header http.Header, body []byte, now time.Time) *wire.Failure {
	reason := errorText(body)
	if reason == "" {
		reason = strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status)) // not every status has a text
	}
	// What stands before the cluster may have passed the request on and lost the
	// answer. Elasticsearch itself says on every answer that it is its own.
	lost := status >= 500 || status == http.StatusRequestTimeout || status == 499
	switch {
	case lost && !own(header):
		return unknown(reason)
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return &wire.Failure{Message: message, ServiceMessage: reason, Retry: outbound.RetryAfter(header.Get("Retry-After"), now), Source: wire.User}
	default:
		return refused(reason)
	}
}

func own(header http.Header) bool { return header.Get("X-Elastic-Product") != "" }

// cause is how Elasticsearch tells of an error.
type cause struct {
	Type     string  `json:"type"`
	Reason   string  `json:"reason"`
	CausedBy *cause  `json:"caused_by"`
	Root     []cause `json:"root_cause"`
}

// UnmarshalJSON takes an error in any shape: what stands before Elasticsearch,
// or what takes its place, may tell of one in its own, which is then the reason.
func (c *cause) UnmarshalJSON(data []byte) error {
	type plain cause
	if err := json.Unmarshal(data, (*plain)(c)); err == nil {
		return nil
	}
	*c = cause{Reason: string(data)}
	var text string
	if err := json.Unmarshal(data, &text); err == nil {
		c.Reason = text
	}
	return nil
}

// errorText tells of an error answer in the words and lines of Elastic's
// JavaScript client, which Kibana shows.
func errorText(body []byte) string {
	var answer struct {
		Error cause `json:"error"`
	}
	if err := decode(body, &answer); err != nil || answer.Error.Type == "" {
		return strings.TrimSpace(string(body))
	}
	var text strings.Builder
	text.WriteString(answer.Error.Type)
	if by := answer.Error.CausedBy; by != nil {
		text.WriteString("\n\tCaused by:\n\t\t" + by.Type + ": " + by.Reason)
	}
	if len(answer.Error.Root) > 0 {
		text.WriteString("\n\tRoot causes:")
		for _, root := range answer.Error.Root {
			text.WriteString("\n\t\t" + root.Type + ": " + root.Reason)
		}
	}
	return text.String()
}

// decode decodes an answer of which the nesting is bounded: each level of causes
// is read once more for every level above it.
func decode(answer []byte, into any) error {
	if err := schema.Check(answer, schema.MaxDepth); err != nil {
		return err
	}
	return json.Unmarshal(answer, into)
}

// bulkAnswer is the part of a _bulk answer that tells how each document fared.
type bulkAnswer struct {
	Errors *bool             `json:"errors"`
	Items  []map[string]item `json:"items"` // each has one member, named by the operation
}

type item struct {
	Status int    `json:"status"`
	Error  *cause `json:"error"`
}

func (i item) written() bool { return i.Status >= 200 && i.Status < 300 }

func (i item) rejected() bool {
	return i.Status == http.StatusTooManyRequests || i.Status == http.StatusServiceUnavailable
}

// checkItems returns nil if the cluster's answer says that every one of n
// documents was written. It goes by status: an error may come without a reason.
func checkItems(answer []byte, n int) error {
	var bulk bulkAnswer
	if err := decode(answer, &bulk); err != nil {
		return unknown("the cluster's answer is not that of a _bulk request: " + err.Error())
	}
	return bulk.check(n)
}

// check is checkItems once the answer is decoded.
func (bulk *bulkAnswer) check(n int) error {
	if bulk.Errors == nil {
		return unknown("the cluster's answer is not that of a _bulk request")
	}
	if len(bulk.Items) != n && !*bulk.Errors {
		return unknown(fmt.Sprintf("the cluster answered for %d documents, %d were sent", len(bulk.Items), n))
	}
	var failed []item
	rejected := 0
	for _, operations := range bulk.Items {
		i, ok := only(operations)
		if !ok || i.Status < 200 || i.Status > 599 {
			return unknown("the cluster's answer does not tell how each document fared")
		}
		if i.rejected() {
			rejected++
		}
		if !i.written() {
			failed = append(failed, i)
		}
	}
	if len(failed) == 0 && !*bulk.Errors {
		return nil
	}
	failure := refused(reasonOf(failed))
	// Only when nothing was written: to run it again sends every document again.
	if rejected == n && n > 0 && len(bulk.Items) == n {
		failure.Retry = wire.RetryLater()
	}
	return failure
}

// only returns the value of a map that has a single one.
func only(operations map[string]item) (item, bool) {
	for _, i := range operations {
		return i, len(operations) == 1
	}
	return item{}, false
}

// reasonOf tells in Kibana's words why items failed.
func reasonOf(failed []item) string {
	var reasons, causes []string
	for _, i := range failed {
		if i.Error == nil {
			continue
		}
		if i.Error.Reason != "" {
			reasons = append(reasons, i.Error.Reason)
		}
		if by := i.Error.CausedBy; by != nil && by.Reason != "" {
			causes = append(causes, by.Reason)
		}
	}
	text := strings.Join(reasons, ";")
	if len(causes) > 0 {
		text = strings.TrimLeft(text+" ("+strings.Join(causes, ";")+")", " ")
	}
	if text == "" {
		return "Indexing error but no reason returned."
	}
	return text
}
