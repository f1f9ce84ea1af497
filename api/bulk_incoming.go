package api

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo/v4"
)

// incoming is the side of a bulk request that reads, on a goroutine of its own.
type incoming struct {
	chunks chan *chunk // closed after the last
	free   chan *chunk // takes back those that are done with

	lines   *lineReader
	control *http.ResponseController
	timeout time.Duration // of a chunk: that of a whole body
	handed  int           // lines, blank ones included
	quit    chan struct{} // closed when no more is wanted
	gone    chan struct{} // closed when nothing is read any more
}

// readLines begins to read the body in chunks; call stop.
func (s *server) readLines(c echo.Context, t *ticket, control *http.ResponseController) *incoming {
	in := &incoming{
		chunks: make(chan *chunk), free: make(chan *chunk, 2),
		lines: newLineReader(c.Request().Body, s.config.MaxBody, t), control: control, timeout: s.config.ReadTimeout,
		quit: make(chan struct{}), gone: make(chan struct{}),
	}
	in.lines.late = in.late
	in.free <- new(chunk)
	in.free <- new(chunk)
	go in.run()
	return in
}

// stop ends it and returns how many lines were handed over. It is called once or more
// often, by one goroutine.
func (in *incoming) stop() int {
	select {
	case <-in.quit:
	default:
		close(in.quit)
	}
	select {
	case <-in.gone:
	default:
		_ = in.control.SetReadDeadline(time.Now()) // it may wait for more
		<-in.gone
	}
	return in.handed
}

func (in *incoming) run() {
	defer close(in.gone)
	defer close(in.chunks)
	for {
		select {
		case next := <-in.free:
			if err := in.read(next); err != nil {
				return
			}
		case <-in.quit:
			return
		}
	}
}

var errQuit = errors.New("no more is wanted")

// read reads one chunk and hands it over.
func (in *incoming) read(c *chunk) error {
	if err := in.control.SetReadDeadline(deadline(in.timeout)); err != nil {
		return err
	}
	select {
	case <-in.quit: // what stop has set may be overwritten now
		return errQuit
	default:
	}
	err := in.lines.next(c)
	if len(c.lines) > 0 {
		select {
		case in.chunks <- c:
			in.handed = in.lines.number
		case <-in.quit:
			return errQuit
		}
	}
	if errors.Is(err, io.EOF) { // the connection waits for its next request
		_ = in.control.SetReadDeadline(time.Time{})
	}
	return err
}

// late says why a line is not there to its end.
func (in *incoming) late(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return badRequest("The line did not arrive within " + in.timeout.String() + ".")
	}
	return badRequest("The line could not be read to its end.")
}
