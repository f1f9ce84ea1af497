package jira

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"patchbay.dev/shared/schema"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/outbound"
)

// message is Kibana's for every failure: its Jira executor throws.
const message = "an error occurred while running the action"

// Kibana's reasons when Jira gave none.
const (
	noResponse = "unknown: errorResponse was null"
	noErrors   = "unknown: errorResponse.errors was null"
)

// never is the failure of an execution of which nothing was carried out and
// which would not go better later. Kibana says that every failure may be
// retried, because it cannot tell one from another.
func never(text string) *wire.Failure {
	return &wire.Failure{Message: message, ServiceMessage: text, Retry: wire.RetryNever(), Source: wire.Framework}
}

// turnedAway is the error of an execution that the layer does not let in: Jira would
// refuse it as it has refused others.
func turnedAway(err error) error {
	paused, ok := errors.AsType[*outbound.PausedError](err)
	if !ok {
		return err
	}
	failure := never("[Action][Jira]: " + paused.Error())
	failure.Retry, failure.Source = wire.RetryAt(paused.Until), wire.User
	return failure
}

// trouble is what went wrong with one request.
type trouble struct {
	text     string // Kibana's "Error:", in the words of its HTTP client
	reason   string // Kibana's "Reason:", in Jira's words
	status   int    // of the answer, 0 if there is none
	definite bool   // it would not go better later
	at       wire.Retry
	lost     bool   // it may have been carried out
	write    string // of the request
}

func (t *trouble) Error() string { return t.text }

// refusal is the trouble of what is not asked of Jira at all.
func refusal(text string) *trouble { return &trouble{text: text, reason: noResponse, definite: true} }

// failed is the failure of what an execution attempted. An error that is a
// *[wire.Failure] already is wrapped, as Kibana wraps one that it threw itself.
func failed(what string, err error) *wire.Failure {
	if inner, ok := errors.AsType[*wire.Failure](err); ok {
		outer := *inner
		outer.ServiceMessage = text(what, inner.ServiceMessage, noResponse)
		return &outer
	}
	t, ok := errors.AsType[*trouble](err)
	if !ok {
		t = &trouble{text: err.Error(), reason: noResponse}
	}
	failure := never(text(what, t.text, t.reason))
	switch {
	case t.lost:
		failure.Unknown = true
		add(failure, "The outcome is unknown: "+t.write+".")
	case !t.at.IsZero():
		failure.Retry = t.at
	case !t.definite:
		failure.Retry = wire.RetryLater()
	}
	if t.status == http.StatusBadRequest || t.status == http.StatusTooManyRequests {
		failure.Source = wire.User
	}
	return failure
}

func text(what, err, reason string) string {
	return "[Action][Jira]: " + what + ". Error: " + err + ". Reason: " + reason
}

// add puts a sentence after the service message.
func add(failure *wire.Failure, sentence string) {
	if !strings.HasSuffix(failure.ServiceMessage, ".") {
		failure.ServiceMessage += "."
	}
	failure.ServiceMessage += " " + sentence
}

// noAnswer is the trouble of a request that ended without an answer, or before
// the end of a good one.
func (s *session) noAnswer(ctx context.Context, r request, err error, sent bool) *trouble {
	t := &trouble{text: s.why(ctx, err), reason: noResponse, write: r.write, lost: r.write != "" && sent}
	_, tooLarge := errors.AsType[*outbound.TooLargeError](err)
	_, blocked := errors.AsType[*outbound.BlockedError](err)
	t.definite = tooLarge || blocked
	return t
}

// why is why there is no answer, in the words of Kibana's HTTP client where it
// is the deadline.
func (s *session) why(ctx context.Context, err error) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		// Up to the tenth of a second, for the little that passed on the way here.
		const tenth = 100 * time.Millisecond
		return fmt.Sprintf("timeout of %dms exceeded", (s.timeout + tenth - 1).Truncate(tenth).Milliseconds())
	}
	if ctx.Err() != nil {
		return context.Cause(ctx).Error()
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err // without the URL: it may be long
	}
	return err.Error()
}

// refused is the trouble of a request that was answered with an error status.
func refused(r request, response *http.Response, body []byte, now time.Time) *trouble {
	status := response.StatusCode
	t := &trouble{
		text:   fmt.Sprintf("Request failed with status code %d", status),
		reason: reasonOf(body),
		status: status,
		write:  r.write,
	}
	advice := response.Header.Get("Retry-After")
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && advice != "":
		t.at = outbound.RetryAfter(advice, now)
	case status >= 500 && status != http.StatusNotImplemented, status == http.StatusRequestTimeout:
		// Jira may fail after it has written, and so may what stands before it.
		t.lost = r.write != ""
	case status == http.StatusConflict, status == http.StatusLocked, status == http.StatusTooEarly:
	default:
		t.definite = true
	}
	return t
}

// reasonOf is Kibana's reading of the body of a refusal.
func reasonOf(body []byte) string {
	trimmed := strings.TrimSpace(string(body))
	if trimmed == "" || trimmed == "null" {
		return noResponse
	}
	if schema.Check(body, schema.MaxDepth) != nil {
		return noErrors // HTML of a proxy, or text
	}
	if list := member(body, "errorMessages"); len(list) > 2 && list[0] == '[' {
		if messages := elements(list); len(messages) > 0 {
			return strings.Join(messages, ", ")
		}
	}
	errs := member(body, "errors")
	if errs == nil || string(errs) == "null" {
		return noErrors
	}
	var values []string
	if errs[0] == '[' {
		values = elements(errs)
	}
	for _, value := range schema.Members(errs) { // in Jira's order
		values = append(values, plain(value))
	}
	return strings.Join(values, " ")
}
