//lint:file-ignore ST1005 the texts are Kibana's

package jira

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"patchbay.dev/shared/schema"
	"patchbay.dev/worker/outbound"
)

// request is one call of Jira's REST API, version 2: the one that both Cloud and
// Data Center have, with plain text where version 3 has documents.
type request struct {
	method string
	path   string // below rest/api/2/, escaped, with its query
	body   any    // sent as JSON, nil for none
	// write says what may have happened if the answer is lost, "" for a request
	// that changes nothing.
	write string
	need  []string // members that the answer must have, neither null nor empty
	into  any      // where the answer goes
}

// do sends a request once. The error, if any, is a *[trouble].
//
// go-jira's typed calls are not used: they drop the text of refusals, leave
// bodies open, break on dates that end in Z and lack the newer endpoints.
func (s *session) do(ctx context.Context, r request) error {
	ctx, sent := outbound.TraceSent(ctx)
	req, err := s.jira.NewRequestWithContext(ctx, r.method, "rest/api/2/"+r.path, r.body)
	if err != nil {
		return refusal(err.Error())
	}
	req.Header.Set("Accept", "application/json")
	// On the request, not by go-jira's transport: that one sends the credentials to
	// every host that a redirect leads to.
	req.SetBasicAuth(s.secrets.Email, s.secrets.APIToken)
	response, err := s.jira.Do(req, nil)
	if response == nil {
		return s.noAnswer(ctx, r, err, sent.Load())
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body) // capped by the client
	if total := s.read.Add(int64(len(body))); total > maxRead && r.write == "" {
		return refusal(fmt.Sprintf("Jira's answers are larger than %d bytes together", maxRead))
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return refused(r, response.Response, body, s.now()) // the status says enough if the body broke off
	}
	if err != nil {
		return s.noAnswer(ctx, r, err, true)
	}
	if err := read(r, response.Response, body); err != nil {
		return &trouble{text: err.Error(), reason: noResponse, write: r.write, lost: r.write != ""}
	}
	return nil
}

var errNotJSON = errors.New("Response is not a valid JSON")

// read checks a good answer as Kibana does, in its words, and decodes it.
func read(r request, response *http.Response, body []byte) error {
	if response.StatusCode == http.StatusNoContent {
		if len(r.need) > 0 {
			return missing(r.need)
		}
		return nil
	}
	contentType := response.Header.Get("Content-Type")
	if contentType == "" {
		contentType = "undefined"
	}
	if !strings.Contains(contentType, "application/json") {
		return fmt.Errorf("Unsupported content type: %s in %s %s. Supported content types: application/json",
			contentType, response.Request.Method, response.Request.URL)
	}
	if schema.Check(body, schema.MaxDepth) != nil {
		return errNotJSON
	}
	switch body := strings.TrimLeft(string(body), " \t\r\n"); body[0] {
	case '{':
	case '[':
		return missing(r.need)
	default:
		return errNotJSON
	}
	for _, name := range r.need {
		if value := string(member(body, name)); value == "" || value == "null" || value == `""` {
			return missing(r.need)
		}
	}
	if r.into == nil {
		return nil
	}
	if err := json.Unmarshal(body, r.into); err != nil {
		return fmt.Errorf("Response is not what was expected: %w", err)
	}
	return nil
}

func missing(names []string) error {
	return errors.New("Response is missing at least one of the expected fields: " + strings.Join(names, ","))
}

// maxRead is how much one execution may read of a list of many pages, in bytes.
const maxRead = 32 << 20

// maxID is the most that an id or key may have, in bytes; Jira's have far less.
const maxID = 255

// segment returns an id or key as a segment of a path. Kibana pastes it in as it
// is, so that "../../x" leads anywhere.
func segment(id string) (string, error) {
	if id == "" {
		return "", refusal("the id is empty")
	}
	if len(id) > maxID {
		return "", refusal(fmt.Sprintf("the id is longer than %d bytes", maxID))
	}
	if strings.ContainsFunc(id, unicode.IsControl) {
		return "", refusal("the id has a control character")
	}
	// Escaped slashes too: a proxy may take %2F for one.
	if id == "." || id == ".." || strings.ContainsAny(id, `/\`) {
		return "", refusal("the id leads to another path")
	}
	return url.PathEscape(id), nil
}

// escape returns a value of a query as JavaScript's encodeURIComponent does,
// with %20 for a space.
func escape(value string) string { return strings.ReplaceAll(url.QueryEscape(value), "+", "%20") }
