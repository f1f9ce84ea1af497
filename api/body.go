package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"patchbay.dev/shared/schema"
)

// readBody decodes the JSON body of the request into the struct that into
// points to, strictly. Every error is an answer for the client.
func (s *server) readBody(c echo.Context, into any) error {
	r := c.Request()
	if err := checkMediaType(r); err != nil {
		return err
	}
	if r.ContentLength > s.config.MaxBody {
		return s.bodyTooLarge()
	}
	data, err := s.readAll(c)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		data = []byte("null") // Kibana takes no body for null
	}
	return decodeBody(data, into)
}

// decodeBody decodes a body, or a line of one, strictly.
func decodeBody(data []byte, into any) error {
	err := schema.Read(data, schema.MaxDepth, into)
	if refusal, ok := errors.AsType[*schema.Error](err); ok {
		return badRequest(refusal.In("request body"))
	}
	if err != nil {
		return badRequest("Invalid request payload JSON format: " + err.Error())
	}
	return nil
}

// firstRead is how many bytes of a body are read before more memory is taken.
const firstRead = 256 << 10

func (s *server) readAll(c echo.Context) ([]byte, error) {
	r := c.Request()
	var b bytes.Buffer
	// What a client only announces takes no more memory than this.
	b.Grow(int(min(max(r.ContentLength, 0), firstRead)) + bytes.MinRead)
	var body io.Reader = http.MaxBytesReader(c.Response(), r.Body, s.config.MaxBody)
	t, counts := c.Get(ticketKey).(*ticket)
	if counts {
		body = &arriving{Reader: body, ticket: t, most: s.config.MaxBody}
	}
	_, err := b.ReadFrom(body)
	if counts && err == nil {
		t.came(int64(b.Len()))
	}
	if refusal, ok := errors.AsType[*problem](err); ok {
		return nil, refusal
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, s.bodyTooLarge()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) { // its text would show our addresses
		return nil, badRequest(fmt.Sprintf("The request body did not arrive within %s.", s.config.ReadTimeout))
	}
	if err != nil {
		return nil, badRequest("The request body could not be read: " + err.Error())
	}
	if err := http.NewResponseController(c.Response()).SetReadDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("clear read deadline: %w", err)
	}
	return b.Bytes(), nil
}

// bodyTooLarge is hapi's answer, which Kibana passes on.
func (s *server) bodyTooLarge() *problem {
	return &problem{status: http.StatusRequestEntityTooLarge,
		message: fmt.Sprintf("Payload content length greater than maximum allowed: %d", s.config.MaxBody)}
}

// checkMediaType refuses a body that is not plain JSON. Kibana takes a body
// without a content type for JSON. also are other types that are taken.
func checkMediaType(r *http.Request, also ...string) error {
	// It may come in parts, and the last is not the only one that counts.
	encoding := strings.Join(r.Header.Values("Content-Encoding"), ", ")
	if encoding != "" && !strings.EqualFold(encoding, "identity") {
		return unsupported("the body must not be compressed; Content-Encoding is " + strconv.Quote(encoding))
	}
	header := r.Header.Get("Content-Type")
	if header == "" || header == "application/json" {
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(header)
	if err == nil && slices.Contains(also, mediaType) {
		return nil
	}
	if err != nil || mediaType != "application/json" && !(strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json")) {
		return unsupported("send the header Content-Type: " + append(also, "application/json")[0] + "; it is " + strconv.Quote(header))
	}
	return nil
}

func unsupported(reason string) *problem {
	return &problem{status: http.StatusUnsupportedMediaType, message: "Unsupported Media Type: " + reason}
}

// writeJSON answers with body as JSON that carries text as it is, not escaped
// for HTML.
func writeJSON(c echo.Context, status int, body any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	b.Truncate(b.Len() - 1) // the encoder's newline
	return writeBlob(c, status, b.Bytes())
}

var jsonType = []string{"application/json; charset=utf-8"}

// writeBlob answers with a body that is JSON already.
func writeBlob(c echo.Context, status int, body []byte) error {
	header := c.Response().Header()
	header["Content-Type"] = jsonType
	header["Content-Length"] = []string{strconv.Itoa(len(body))} // or a large one goes out in chunks
	c.Response().WriteHeader(status)
	expectBody(c.Request(), len(body))
	// What was done stays done when the client does not take the answer.
	_, _ = c.Response().Write(body)
	return nil
}

// param returns a part of the path, decoded.
func param(c echo.Context, name string) string {
	v := c.Param(name)
	// Echo routes on the raw path when it differs from the decoded one, so that
	// %2f stays inside one part; only then the parts are still encoded.
	if c.Request().URL.RawPath != "" {
		if decoded, err := url.PathUnescape(v); err == nil {
			return decoded
		}
	}
	return v
}
