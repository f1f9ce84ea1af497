package api

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// linesType is the media type of what bulk takes and answers: NDJSON.
var linesType = []string{"application/x-ndjson"}

// readBulk looks at no more than the head of a request: its body is read as it comes.
func readBulk(c echo.Context) (struct{}, error) {
	return struct{}{}, checkMediaType(c.Request(), linesType[0], "application/ndjson", "application/jsonl")
}

// bulk queues executions, one from each line, and answers each with a line, in
// order, while more are still coming: a line is refused alone. It holds two chunks in
// memory, one that is being accepted and one that is being read, so that nobody may
// send faster than is kept.
func (s *server) bulk(c echo.Context, _ struct{}) error {
	t, _ := c.Get(ticketKey).(*ticket)
	if err := t.reserve(c.Request().ContentLength); err != nil {
		return err
	}
	w := &bulkWriter{Context: c, control: http.NewResponseController(c.Response()), timeout: s.config.WriteTimeout}
	// Who sends as he reads need not wait for a first line; but who waits for a 100 would
	// take this for the end.
	if c.Request().Header.Get("Expect") == "" && w.write(nil) != nil {
		return nil
	}
	in := s.readLines(c, t, w.control)
	defer in.stop()
	b := &bulk{server: s, origin: originOf(c)}
	defer func() { c.Set(countsKey, b.counts()) }()
	for {
		select {
		case chunk, more := <-in.chunks:
			if !more {
				_ = w.write(nil) // an answer without a line is one, too
				return nil
			}
			err := s.stillMay(c)
			if err != nil {
				w.lines = b.refuse(w.lines, chunk, err)
			} else {
				w.lines = b.accept(c.Request().Context(), w.lines, chunk)
			}
			in.free <- chunk
			if w.write(w.lines) != nil || err != nil {
				return nil // nobody reads it, or nobody may send any more
			}
		case <-s.stopping:
			last := in.stop() + 1
			_ = w.write(b.appendRefusal(nil, last, "", unavailable("The api is stopping. This line and those after it were not read.")))
			return nil
		}
	}
}

// stillMay looks again at who calls: a stream may last.
func (s *server) stillMay(c echo.Context) error {
	if err := s.readmit(c); err != nil {
		return err
	}
	if !allowed(c, toExecute, struct{}{}) {
		return toExecute.forbidden(c, nil)
	}
	return nil
}

// bulkWriter writes the answers to lines as they are there.
type bulkWriter struct {
	echo.Context
	control *http.ResponseController
	timeout time.Duration
	lines   []byte // room for the next ones
}

func (w *bulkWriter) write(lines []byte) error {
	if !w.Response().Committed {
		w.Response().Header()["Content-Type"] = linesType
		w.Response().WriteHeader(http.StatusOK)
	}
	// The server's own limit counts from the beginning of the request.
	if err := w.control.SetWriteDeadline(deadline(w.timeout)); err != nil {
		return err
	}
	_, err := w.Response().Write(lines)
	w.lines = lines[:0]
	return errors.Join(err, w.control.Flush())
}

func deadline(in time.Duration) time.Time {
	if in <= 0 {
		return time.Time{}
	}
	return time.Now().Add(in)
}

// counts is what the audit log tells of the lines.
func (b *bulk) counts() slog.Attr {
	return slog.Group("patchbay", slog.Group("lines", "queued", b.queued, "known", b.known, "refused", b.refused))
}
