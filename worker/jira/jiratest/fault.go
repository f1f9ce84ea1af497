package jiratest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Faults of issues, which their requests look for themselves.
const (
	getFails     = "fault-get-fails"
	commentFails = "fault-comment-fails"
)

func isFault(name string) bool { return strings.HasPrefix(name, "fault-") }

// fault spoils the answer to a request. It may carry the request out by good.
type fault func(c *call, w http.ResponseWriter, good func() *answer)

// faults has a line for each row of the package's table, but for the faults of
// issues.
var faults = map[string]fault{
	"fault-400": instead(func(*call) *answer {
		return failedFields(map[string]string{
			"components": "Component name 'x' is not valid", "duedate": "Error parsing date string: tomorrow",
		})
	}),
	"fault-400-messages": instead(func(*call) *answer {
		return ofJSON(http.StatusBadRequest, errorCollection{
			[]string{"The first thing is wrong.", "The second thing is wrong."}, map[string]string{"summary": "It is wrong as well."},
		})
	}),
	"fault-401-html": instead(func(*call) *answer {
		return ofHTML(http.StatusUnauthorized, "Unauthorized (401)", "Encountered a \"401 - Unauthorized\" error")
	}),
	"fault-403": instead(func(*call) *answer {
		return failed(http.StatusForbidden, "You do not have permission to do this in this project.")
	}),
	"fault-404":      instead(func(*call) *answer { return issueNotFound() }),
	"fault-429":      instead(func(*call) *answer { return throttled().with("Retry-After", "5") }),
	"fault-429-date": instead(throttledToDate),
	"fault-429-bare": bare,
	"fault-500-html": instead(func(*call) *answer { return ofHTML(500, "Oops - an error has occurred", "Internal Server Error") }),
	"fault-503-in-5": instead(unavailable),
	"fault-echo":     instead(echo),
	"fault-cut":      cut,
	"fault-reset":    reset,
	"fault-silent":   silent,
	"fault-large":    large,
	"fault-html":     instead(func(*call) *answer { return ofHTML(http.StatusOK, "Log in", "Log in to continue") }),
	"fault-no-key":   noKey,
	"fault-array":    instead(func(*call) *answer { return ofJSON(http.StatusOK, []object{{"id": "10000", "key": "CK-1"}}) }),
	"fault-redirect": instead(redirect),
	getFails:         unspoilt,
	commentFails:     unspoilt,
}

// do runs a job, or the fault that it asks for.
func (c *call) do(w http.ResponseWriter, todo job) {
	for _, name := range todo.names {
		if !isFault(name) {
			continue
		}
		if spoil, is := faults[name]; is {
			spoil(c, w, todo.run)
			return
		}
		c.breach(http.StatusBadRequest, "there is no fault of the name "+name).write(w)
		return
	}
	todo.run().write(w)
}

func unspoilt(_ *call, w http.ResponseWriter, good func() *answer) { good().write(w) }

// instead is a fault that does not carry the request out.
func instead(of func(*call) *answer) fault {
	return func(c *call, w http.ResponseWriter, _ func() *answer) { of(c).write(w) }
}

func throttled() *answer {
	return failed(http.StatusTooManyRequests, "Rate limit exceeded.").
		with("X-RateLimit-Limit", "350").with("X-RateLimit-Remaining", "0").with("RateLimit-Reason", "jira-quota-based")
}

func throttledToDate(*call) *answer {
	return throttled().with("Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
}

func bare(_ *call, w http.ResponseWriter, _ func() *answer) {
	w.Header().Del("Retry-After") // Data Center has told it already
	w.WriteHeader(http.StatusTooManyRequests)
}

func unavailable(*call) *answer {
	return failed(http.StatusServiceUnavailable, "Jira is temporarily unavailable.").with("Retry-After", "5")
}

// echo repeats what the client keeps secret in every form that it may take.
func echo(c *call) *answer {
	email, token := c.options.Email, c.options.Token
	pair := email + ":" + token
	return failed(http.StatusBadRequest,
		"Header "+c.request.Header.Get("Authorization"),
		"Token "+token,
		"Query "+url.QueryEscape(token),
		"Path "+url.PathEscape(token),
		"Base64 "+base64.StdEncoding.EncodeToString([]byte(token)),
		"Base64 for URLs "+base64.RawURLEncoding.EncodeToString([]byte(token)),
		"Pair "+pair,
		"Base64 of the pair "+base64.StdEncoding.EncodeToString([]byte(pair)),
		"URL "+url.UserPassword(email, token).String()+"@"+c.request.Host,
	)
}

func cut(_ *call, w http.ResponseWriter, good func() *answer) {
	a := good()
	if a.status == http.StatusNoContent { // has no middle
		hijack(w).Close()
		return
	}
	conn := hijack(w)
	defer conn.Close()
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: %d\r\n\r\n%s",
		a.status, http.StatusText(a.status), len(a.body), a.body[:len(a.body)/2])
}

func reset(_ *call, w http.ResponseWriter, good func() *answer) {
	good()
	conn := hijack(w)
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // closing resets
	}
	_ = conn.Close()
}

func hijack(w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err) // HTTP/1 always can
	}
	return conn
}

func silent(c *call, _ http.ResponseWriter, good func() *answer) {
	good()
	c.wait(c.request, nil)
	panic(http.ErrAbortHandler) // nothing is answered
}

// large has the padding first, so that a reader of a part finds nothing.
func large(_ *call, w http.ResponseWriter, good func() *answer) {
	a := good()
	padding := []byte(`{"padding":"` + strings.Repeat("x", 2<<20) + `"`)
	if a.status == http.StatusNoContent {
		a.status = http.StatusOK
		a.body = []byte("{}")
	}
	if rest := bytes.TrimPrefix(a.body, []byte("{")); string(rest) != "}" {
		padding = append(append(padding, ','), rest...)
	} else {
		padding = append(padding, '}')
	}
	a.body = padding
	a.write(w)
}

// noKey is the good answer with every key and id of an issue under another name.
func noKey(_ *call, w http.ResponseWriter, good func() *answer) {
	a := good()
	for _, member := range []string{`"key":`, `"id":`} {
		a.body = bytes.ReplaceAll(a.body, []byte(member), []byte(`"no_`+member[1:]))
	}
	a.write(w)
}

func redirect(c *call) *answer {
	to := c.options.ContextPath + "/elsewhere"
	if c.options.RedirectTo != "" {
		to = c.options.RedirectTo + c.request.RequestURI
	}
	return &answer{status: http.StatusFound, header: map[string]string{"Location": to}}
}
