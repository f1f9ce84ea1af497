package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"patchbay.dev/api/access"
	"patchbay.dev/api/ledger"
	"patchbay.dev/api/queue"
)

// submitLines queues lines that came over the broker; it is the [queue.Submit]. Who may
// publish there may do so without a limit.
func (s *server) submitLines(ctx context.Context, space string, lines []queue.Line) []error {
	errs, places := make([]error, len(lines)), make([]int, 0, len(lines))
	var submissions []ledger.Submission
	for i, l := range lines {
		submission, err := s.brokerSubmission(ctx, space, l)
		lines[i].Key = cmp.Or(submission.Key, l.Key)
		if err != nil {
			errs[i] = err
			continue
		}
		submissions, places = append(submissions, submission), append(places, i)
	}
	accepted, err := s.ledger.Accept(ctx, submissions)
	for n, i := range places {
		if errs[i] = err; err == nil {
			errs[i] = accepted[n].Err
			if errors.Is(errs[i], ledger.ErrExists) && !accepted[n].Known {
				errs[i] = &queue.Refused{Reason: "its id is that of another execution"}
			}
		}
		if errs[i] == nil {
			s.metrics.accepted(byMessage, accepted[n].Known)
		}
	}
	for _, err := range errs {
		if _, refused := errors.AsType[*queue.Refused](err); refused || errors.Is(err, ledger.ErrKeyReused) {
			s.metrics.refused(byMessage, http.StatusBadRequest) // all others come again
		}
	}
	return errs
}

// brokerSubmission reads a line. The error is a *[queue.Refused] if the line can never
// be accepted; the key of its body is there all the same.
func (s *server) brokerSubmission(ctx context.Context, space string, l queue.Line) (ledger.Submission, error) {
	if !access.IsSpace(space) {
		return ledger.Submission{}, &queue.Refused{Reason: access.SpaceRule}
	}
	submission, connector, err := s.lineSubmission(ctx, origin{space: space, parent: l.Traceparent, state: l.Tracestate}, l.Body)
	if err != nil {
		if p := problemAbout(err, connector); p.status < http.StatusInternalServerError {
			return submission, &queue.Refused{Reason: p.message}
		}
		return submission, err
	}
	if submission.Key == "" && l.Key != "" {
		if !isKey(l.Key) {
			return submission, &queue.Refused{Reason: "[headers.idempotency-key]: " + keyRule}
		}
		submission.Key = l.Key
	}
	submission.ID = l.ID
	return submission, nil
}
