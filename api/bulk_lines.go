package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/schema"
	"patchbay.dev/shared/wire"
)

// bulkLine is what a line asks for.
type bulkLine struct {
	ID     string        `json:"id"` // of the connector
	Params schema.Record `json:"params"`
	Key    *string       `json:"key" maybe:"yes"` // idempotency key
}

func readLine(data []byte) (bulkLine, error) {
	var l bulkLine
	data = bytes.TrimSpace(data)
	err := decodeBody(data, &l)
	if err == nil && l.Key != nil && !isKey(*l.Key) {
		return l, badRequest("[request body.key]: " + keyRule)
	}
	return l, err
}

// key returns the idempotency key, "" for none, and for what cannot be one.
func (l *bulkLine) key() string {
	if l.Key == nil || !isKey(*l.Key) {
		return ""
	}
	return *l.Key
}

// lineSubmission reads a line. The connector's id and the key are there also with an
// error, if the line tells them.
func (s *server) lineSubmission(ctx context.Context, o origin, data []byte) (ledger.Submission, string, error) {
	l, err := readLine(data)
	if err != nil {
		return ledger.Submission{Key: l.key()}, l.ID, err
	}
	submission, err := s.submission(ctx, o, l.ID, l.Params, l.key())
	if err != nil {
		return ledger.Submission{Key: l.key()}, l.ID, err
	}
	return submission, l.ID, nil
}

// bulk is what a bulk request has come to.
type bulk struct {
	server *server
	origin origin

	submissions            []ledger.Submission
	connectors             []string // of each line, as far as it tells
	errs                   []error  // why a line is not among the submissions
	queued, known, refused int      // lines, so far
}

// accept queues the lines of a chunk and appends the answers to b.
func (b *bulk) accept(ctx context.Context, answer []byte, c *chunk) []byte {
	b.read(ctx, c)
	accepted, err := b.server.ledger.Accept(ctx, b.submissions)
	if err != nil && !errors.Is(err, ledger.ErrDiskFull) && ctx.Err() == nil {
		b.server.log.Error("lines were not queued", "lines", len(b.submissions), "error", err)
	}
	next := 0
	for i, l := range c.lines {
		if b.errs[i] != nil {
			answer = b.appendRefusal(answer, l.number, b.connectors[i], b.errs[i])
			continue
		}
		place := next
		next++
		refusal := err
		if err == nil {
			refusal = b.server.refusal(accepted[place].Err)
		}
		if refusal != nil {
			answer = b.appendRefusal(answer, l.number, b.connectors[i], refusal)
			continue
		}
		answer = b.appendAccepted(answer, l.number, &accepted[place])
	}
	clear(b.submissions) // what they refer to is overwritten
	return answer
}

// read reads the lines of a chunk into submissions, connectors and errs.
func (b *bulk) read(ctx context.Context, c *chunk) {
	b.submissions, b.connectors, b.errs = b.submissions[:0], b.connectors[:0], b.errs[:0]
	for _, l := range c.lines {
		submission, connector, err := ledger.Submission{}, "", l.err
		if err == nil {
			submission, connector, err = b.server.lineSubmission(ctx, b.origin, c.data[l.from:l.to])
		}
		if err == nil {
			submission.ID, err = newExecutionID()
		}
		if err == nil {
			b.submissions = append(b.submissions, submission)
		}
		b.connectors, b.errs = append(b.connectors, connector), append(b.errs, err)
	}
}

// refuse appends refusals of all lines of a chunk.
func (b *bulk) refuse(answer []byte, c *chunk, err error) []byte {
	for _, l := range c.lines {
		answer = b.appendRefusal(answer, l.number, "", err)
	}
	return answer
}

func (b *bulk) appendAccepted(to []byte, number int, a *ledger.Acceptance) []byte {
	to = strconv.AppendInt(append(to, `{"line":`...), int64(number), 10)
	to = wire.AppendString(append(to, `,"execution_id":`...), a.Execution.ID)
	to = wire.AppendString(append(to, `,"connector_id":`...), a.Execution.ConnectorID)
	to = wire.AppendString(append(to, `,"status":`...), string(a.Execution.State))
	b.server.metrics.accepted(byBulk, a.Known)
	if a.Known {
		b.known++
		return append(to, `,"known":true}`+"\n"...)
	}
	b.queued++
	return append(to, "}\n"...)
}

// refusedBody is the answer to a line that was not accepted.
type refusedBody struct {
	Line        int       `json:"line"`
	ConnectorID string    `json:"connector_id,omitempty"`
	Status      string    `json:"status"`
	Error       errorBody `json:"error"`
	RetryAfter  int       `json:"retry_after,omitempty"` // seconds
}

func (b *bulk) appendRefusal(to []byte, number int, connector string, err error) []byte {
	b.refused++
	p := problemAbout(err, connector)
	left := errors.Is(err, context.Canceled) // and does not read it
	if !left {
		b.server.metrics.refused(byBulk, p.status)
	}
	if p.status == http.StatusInternalServerError && !left {
		b.server.log.Error("line failed", "line", number, "error", err)
	}
	line, _ := wire.Encode(refusedBody{ // text and numbers always encode
		number, connector, "refused", errorBody{p.status, http.StatusText(p.status), p.message}, int(p.retryAfter / time.Second),
	})
	return append(append(to, line...), '\n')
}

func newExecutionID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make execution id: %w", err)
	}
	return id.String(), nil
}
