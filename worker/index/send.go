package index

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/outbound"
)

// reply is what came of one _bulk request.
type reply struct {
	response *esapi.Response // its body is read; nil if there is an error
	answer   []byte          // that body, cut one byte after the limit
	err      error           // why there is no whole answer
	sent     bool            // if so: whether the cluster may have got anything
}

// send sends a _bulk request, to /_bulk if index is "", and reads at most limit
// bytes of its answer and one.
func (e *Executor) send(ctx context.Context, index string, body []byte, refresh bool, limit int64) reply {
	ctx, sent := outbound.TraceSent(ctx)
	response, err := esapi.BulkRequest{
		Index:   url.PathEscape(index), // esapi pastes it into the path
		Body:    bytes.NewReader(body),
		Refresh: strconv.FormatBool(refresh),
	}.Do(ctx, e.client)
	if err != nil {
		return reply{err: err, sent: sent.Load()}
	}
	defer response.Body.Close()
	e.heed(response.StatusCode, response.Header)
	answer, err := readAtMost(response.Body, limit+1, response.Header.Get("Content-Length"))
	if err != nil && !response.IsError() { // an error status says enough without its body
		return reply{err: err, sent: true}
	}
	return reply{response: response, answer: answer}
}

// firstRead is the most memory that an answer takes for being announced.
const firstRead = 1 << 20

// readAtMost is [io.ReadAll] of at most limit bytes. An answer whose announced length
// is not above firstRead takes memory once.
func readAtMost(body io.Reader, limit int64, announced string) ([]byte, error) {
	size, err := strconv.ParseInt(announced, 10, 64)
	if err != nil || size < 0 {
		size = 0
	}
	var b bytes.Buffer
	b.Grow(int(min(size, limit, firstRead)) + bytes.MinRead) // so much is free when it looks for the end
	_, err = b.ReadFrom(io.LimitReader(body, limit))
	return b.Bytes(), err
}

// result is what came of an execution.
type result struct {
	data json.RawMessage // the cluster's answer, also to some failures
	err  error           // what the caller gets instead
	// rejected are the documents, by their place, that the cluster had no room for;
	// they may be sent again, after the pause that it asked for. unsent says that they
	// have not been sent at all.
	rejected []int
	pause    time.Duration
	unsent   bool
	sign     outbound.Sign // of a request for one execution
	// wrote says that the cluster wrote at least some documents though there are no
	// data to tell which.
	wrote bool
	whole []byte // the cluster's answer if it is larger than the limit
}

// sign returns what came of a request in which documents were rejected of so many.
func (r reply) sign(ctx context.Context, rejected, documents int) outbound.Sign {
	if r.err == nil && 2*rejected > documents {
		return outbound.TooMuch
	}
	status := 0
	if r.err == nil {
		status = r.response.StatusCode
	}
	return outbound.SignOf(ctx, status, r.err)
}

// unbatched is alone when there are no batches.
func (e *Executor) unbatched(ctx context.Context, x *execution, refresh bool) result {
	e.mu.Lock()
	if e.isPaused() {
		defer e.mu.Unlock()
		return e.turnedAway(x)
	}
	e.mu.Unlock()
	return e.alone(ctx, x, refresh)
}

// alone sends an execution in a request of its own.
func (e *Executor) alone(ctx context.Context, x *execution, refresh bool) result {
	body := bulkBody(x.documents, x.ids, x.timeField, x.now)
	e.counters.count(1, len(x.documents), len(body))
	limit := e.maxResponse
	if x.again() { // what is refused since it is there takes more room than it will
		limit = e.limitFor(1, len(x.documents), len(body))
	}
	r := e.send(ctx, x.target, body, refresh, limit)
	told := e.read(ctx, r, x, limit)
	told.sign = r.sign(ctx, len(told.rejected), len(x.documents))
	return told
}

// read returns what the answer to a request means for the only execution in it, of which
// at most limit bytes were to be kept.
func (e *Executor) read(ctx context.Context, r reply, x *execution, limit int64) result {
	if r.err != nil {
		return result{err: e.noAnswer(ctx, r.err, r.sent)}
	}
	if r.response.IsError() || int64(len(r.answer)) > limit {
		return e.told(r, len(x.documents))
	}
	s, err := scan(r.answer, len(x.documents))
	if err == nil && len(s.each) == len(x.documents) {
		return e.ofShare(s.whole(), len(x.documents))
	}
	return result{err: checkItems(r.answer, len(x.documents)), data: r.answer}
}

// told is the result of an execution of n documents whose answer is an error
// status, or larger than the limit.
func (e *Executor) told(r reply, n int) result {
	var told result
	if int64(len(r.answer)) > e.maxResponse {
		told.data, told.err = e.tooLarge(r.response, r.answer)
		told.wrote = !r.response.IsError()
	} else {
		told.err = refusedByCluster(r.response.StatusCode, r.response.Header, r.answer, e.now())
	}
	if whole := (item{Status: r.response.StatusCode}); whole.rejected() && own(r.response.Header) {
		told.pause = outbound.RetryPause(r.response.Header.Get("Retry-After"), e.now())
		told.rejected = upTo(n)
	}
	return told
}

// ofShare is the result of an execution of n documents that got a share.
func (e *Executor) ofShare(s share, n int) result {
	switch {
	case int64(len(s.answer)) > e.maxResponse:
		r := e.told(reply{response: &esapi.Response{StatusCode: http.StatusOK}, answer: s.answer}, n)
		r.whole = s.answer
		return r
	case s.written:
		return result{data: s.answer}
	}
	err := checkItems(s.answer, n)
	if failure, ok := errors.AsType[*wire.Failure](err); ok && failure.Unknown {
		return result{err: err}
	}
	return result{data: s.answer, err: err, rejected: s.rejected}
}
