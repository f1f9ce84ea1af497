package elastictest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// breach is a violation of the protocol and how Elasticsearch answers it.
type breach struct {
	status       int
	kind, reason string
}

func illegal(reason string) *breach {
	return &breach{http.StatusBadRequest, "illegal_argument_exception", reason}
}

// operation is one action with its document.
type operation struct {
	index    string
	id       string // "" for one that the server makes
	document []byte
}

// route returns the index that the path names, "" for /_bulk.
func route(r *http.Request) (string, *breach) {
	segments := strings.Split(r.URL.EscapedPath(), "/")
	if segments[len(segments)-1] != "_bulk" || len(segments) > 3 {
		return "", illegal(fmt.Sprintf("no handler found for uri [%s] and method [%s]", r.RequestURI, r.Method))
	}
	if r.Method != http.MethodPost {
		return "", &breach{http.StatusMethodNotAllowed, "illegal_argument_exception",
			fmt.Sprintf("Incorrect HTTP method for uri [%s] and method [%s], allowed: [POST]", r.RequestURI, r.Method)}
	}
	if len(segments) == 2 {
		return "", nil
	}
	index, err := url.PathUnescape(segments[1])
	if err != nil {
		return "", illegal("the path is not escaped: " + err.Error())
	}
	if rule := brokenRule(index); rule != "" {
		return "", &breach{http.StatusBadRequest, "invalid_index_name_exception", "Invalid index name [" + index + "], " + rule}
	}
	return index, nil
}

// brokenRule returns the rule for names of indices that name breaks, or "".
func brokenRule(name string) string {
	switch {
	case name == "":
		return "must not be empty"
	case strings.ContainsAny(name, ` "*\<|,>/?`):
		return `must not contain the following characters [' ','"','*','\','<','|',',','>','/','?']`
	case strings.ContainsAny(name, "#:"):
		return "must not contain '#' or ':'"
	case strings.ContainsFunc(name, unicode.IsControl), !utf8.ValidString(name):
		return "must not contain control characters"
	case strings.ContainsAny(name[:1], "_-+"):
		return "must not start with '_', '-', or '+'"
	case name == ".", name == "..":
		return "must not be '.' or '..'"
	case len(name) > 255:
		return fmt.Sprintf("index name is too long, (%d > 255)", len(name))
	case strings.ToLower(name) != name:
		return "must be lowercase"
	default:
		return ""
	}
}

// checkRequest checks what stands before the body.
func checkRequest(r *http.Request, query url.Values) *breach {
	for name := range query {
		if name != "refresh" {
			return illegal(fmt.Sprintf("request [%s] contains unrecognized parameter: [%s]", r.URL.Path, name))
		}
	}
	if values := query["refresh"]; len(values) > 1 || len(values) == 1 && !slices.Contains([]string{"true", "false", "wait_for"}, values[0]) {
		return illegal(fmt.Sprintf("Unknown value for refresh: %q.", values))
	}
	contentType := r.Header.Get("Content-Type")
	switch media, _, err := mime.ParseMediaType(contentType); {
	case err != nil, !slices.Contains([]string{
		"application/json", "application/x-ndjson",
		"application/vnd.elasticsearch+json", "application/vnd.elasticsearch+x-ndjson",
	}, media):
		return &breach{http.StatusNotAcceptable, "media_type_header_exception", "Content-Type header [" + contentType + "] is not supported"}
	default:
		return nil
	}
}

// parse reads the lines of a body, strictly in pairs of action and document.
func (s *Server) parse(index string, body []byte) ([]operation, *breach) {
	if body[len(body)-1] != '\n' {
		return nil, illegal(`The bulk request must be terminated by a newline [\n]`)
	}
	var operations []operation
	lines := bytes.Split(body[:len(body)-1], []byte("\n"))
	for i := 0; i < len(lines); i += 2 {
		if len(bytes.TrimSpace(lines[i])) == 0 {
			return nil, illegal(fmt.Sprintf("line %d is blank", i+1))
		}
		target, id, b := parseAction(lines[i], i+1)
		if b != nil {
			return nil, b
		}
		if target == "" {
			target = index
		}
		if target == "" {
			return nil, &breach{http.StatusBadRequest, "action_request_validation_exception", "Validation Failed: 1: index is missing;"}
		}
		if i+1 == len(lines) {
			return nil, &breach{http.StatusBadRequest, "action_request_validation_exception", "Validation Failed: 1: no requests added;"}
		}
		if b := checkDocument(lines[i+1], i+2); b != nil {
			return nil, b
		}
		operations = append(operations, operation{target, id, lines[i+1]})
	}
	return operations, nil
}

// parseAction returns the index and the id that an action line names, "" for none.
func parseAction(line []byte, n int) (index, id string, b *breach) {
	malformed := func(what string) *breach {
		return illegal(fmt.Sprintf("Malformed action/metadata line [%d], %s", n, what))
	}
	var actions map[string]map[string]json.RawMessage
	if err := json.Unmarshal(line, &actions); err != nil {
		return "", "", malformed("expected an object: " + err.Error())
	}
	if len(actions) != 1 {
		return "", "", malformed(fmt.Sprintf("expected one action but found %d", len(actions)))
	}
	for name, metadata := range actions {
		if name != "index" && name != "create" {
			return "", "", malformed("expected one of [create, index] but found [" + name + "]")
		}
		if opType := string(metadata["op_type"]); opType != `"create"` && (name == "index" || opType != "") {
			return "", "", malformed("expected op_type create but found [" + opType + "]")
		}
		for key := range metadata {
			if key != "op_type" && key != "_index" && key != "_id" {
				return "", "", illegal(fmt.Sprintf("Action/metadata line [%d] contains an unknown parameter [%s]", n, key))
			}
		}
		if raw, ok := metadata["_id"]; ok {
			if err := json.Unmarshal(raw, &id); err != nil {
				return "", "", malformed("_id: " + err.Error())
			}
			if b := checkID(id); b != nil {
				return "", "", b
			}
		}
		raw, ok := metadata["_index"]
		if !ok {
			return "", id, nil
		}
		if err := json.Unmarshal(raw, &index); err != nil {
			return "", "", malformed("_index: " + err.Error())
		}
		if rule := brokenRule(index); rule != "" {
			return "", "", &breach{http.StatusBadRequest, "invalid_index_name_exception", "Invalid index name [" + index + "], " + rule}
		}
		return index, id, nil
	}
	return "", "", nil // not reached: there is one action
}

// checkID refuses the ids that Elasticsearch refuses.
func checkID(id string) *breach {
	invalid := func(why string) *breach {
		return &breach{http.StatusBadRequest, "action_request_validation_exception", "Validation Failed: 1: " + why + ";"}
	}
	switch {
	case id == "":
		return invalid("if _id is specified it must not be empty")
	case len(id) > 512:
		return invalid(fmt.Sprintf("id [%s] is too long, must be no longer than 512 bytes but was: %d", id, len(id)))
	default:
		return nil
	}
}

func checkDocument(line []byte, n int) *breach {
	bad := func(why string) *breach {
		return &breach{http.StatusBadRequest, "document_parsing_exception", fmt.Sprintf("line %d %s", n, why)}
	}
	switch {
	case len(bytes.TrimSpace(line)) == 0:
		return bad("is blank")
	case bytes.IndexByte(line, '\r') >= 0:
		return bad("has a carriage return")
	case !utf8.Valid(line):
		return bad("is not UTF-8")
	case !json.Valid(line):
		return bad("is not one JSON value")
	case bytes.TrimLeft(line, " \t")[0] != '{':
		return bad("is not an object")
	default:
		return nil
	}
}
