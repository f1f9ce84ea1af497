package jiratest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// answer is a whole response.
type answer struct {
	status int
	header map[string]string
	body   []byte
}

func (a *answer) write(w http.ResponseWriter) {
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	if a.status != http.StatusNoContent {
		w.Header().Set("Content-Length", fmt.Sprint(len(a.body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that went away is its own affair
}

// with returns a with another header.
func (a *answer) with(name, value string) *answer {
	a.header[name] = value
	return a
}

func ofJSON(status int, body any) *answer {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // Jira does not
	if err := enc.Encode(body); err != nil {
		panic(err) // only types of this package come here
	}
	return &answer{
		status: status,
		header: map[string]string{"Content-Type": "application/json;charset=UTF-8"},
		body:   bytes.TrimRight(b.Bytes(), "\n"),
	}
}

func noContent() *answer {
	return &answer{status: http.StatusNoContent, header: map[string]string{"Content-Type": "application/json;charset=UTF-8"}}
}

func ofHTML(status int, title, text string) *answer {
	return &answer{
		status: status,
		header: map[string]string{"Content-Type": "text/html;charset=UTF-8"},
		body:   []byte("<html><head><title>" + title + "</title></head><body><h1>" + text + "</h1></body></html>\n"),
	}
}

// errorCollection is Jira's error body; neither member is ever left out.
type errorCollection struct {
	Messages []string          `json:"errorMessages"`
	Errors   map[string]string `json:"errors"`
}

// failed is an error that tells of the request as a whole.
func failed(status int, messages ...string) *answer {
	return ofJSON(status, errorCollection{messages, map[string]string{}})
}

// failedFields is an error that tells of fields, by their ids.
func failedFields(errors map[string]string) *answer {
	return ofJSON(http.StatusBadRequest, errorCollection{[]string{}, errors})
}

// failedREST is the error of the layer below Jira, which knows no errorMessages.
func failedREST(status int, message string) *answer {
	return ofJSON(status, struct {
		Message string `json:"message"`
		Status  int    `json:"status-code"`
	}{message, status})
}

func issueNotFound() *answer {
	return failed(http.StatusNotFound, "Issue does not exist or you do not have permission to see it.")
}

func noSuchPage() *answer {
	return ofHTML(http.StatusNotFound, "Oops, you've found a dead link. - JIRA", "Oops, you've found a dead link.")
}

// object is a JSON object whose members come in the order of their names.
type object map[string]any

// only returns the members that names asks for.
func (o object) only(names func(string) bool) object {
	picked := maps.Clone(o)
	maps.DeleteFunc(picked, func(name string, _ any) bool { return !names(name) })
	return picked
}

// page is the part of all that is asked for and allowed.
func page[T any](all []T, start, size int) []T {
	start = min(start, len(all))
	return slices.Clone(all[start:min(start+size, len(all))])
}
