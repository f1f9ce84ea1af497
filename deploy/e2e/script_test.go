package e2e_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// script is a parsed script: see README.md for its form.
type script struct {
	settings []string // flags of the server
	files    []txtar.File
	standIn  bool // needs the stand-in of Elasticsearch
	own      bool // needs settings or files of its own
	patchbay bool // is about what only Patchbay does
	jira     bool // needs the stand-ins of Jira
	steps    []step
}

// step is one request and what must come back.
type step struct {
	name     string
	request  string
	response string
}

func parse(archive *txtar.Archive) (*script, error) {
	s := &script{}
	for line := range strings.Lines(string(archive.Comment)) {
		directive, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case directive == "#set":
			s.settings = append(s.settings, "-"+value)
		case directive == "#stand-in":
			s.standIn = true
		case directive == "#jira":
			s.jira = true
		case directive == "#patchbay":
			s.patchbay = true
		case strings.HasPrefix(directive, "#"):
			return nil, fmt.Errorf("unknown directive %s", directive)
		}
	}
	for i := 0; i < len(archive.Files); i++ {
		f := archive.Files[i]
		name, isRequest := strings.CutPrefix(f.Name, "request: ")
		if !isRequest {
			s.files = append(s.files, f)
			continue
		}
		if i++; i == len(archive.Files) || archive.Files[i].Name != "response" {
			return nil, fmt.Errorf("request %q has no response", name)
		}
		s.steps = append(s.steps, step{name, string(f.Data), string(archive.Files[i].Data)})
	}
	s.own = len(s.settings) > 0 || len(s.files) > 0
	return s, nil
}

func (s *script) run(t *testing.T, base string, variables map[string]string) {
	if variables == nil {
		variables = make(map[string]string)
	}
	// A name of this run, so that scripts do not meet on a server they share.
	variables["run"] = strings.ToLower(rand.Text()[:8])
	for _, step := range s.steps {
		if !t.Run(step.name, func(t *testing.T) { step.run(t, base, variables) }) {
			t.FailNow() // the later steps build on this one
		}
	}
}

func (s *step) run(t *testing.T, base string, variables map[string]string) {
	status, header, body := send(t, base, expand(s.request, variables))
	wantStatus, wantHeader, wantBody := message(t, expand(s.response, variables))
	if got := strconv.Itoa(status); got != wantStatus {
		t.Errorf("status: %s, want %s", got, wantStatus)
	}
	for name, want := range wantHeader {
		if *otherServer && (strings.HasPrefix(name, "Patchbay-") || name == "Kbn-Name") {
			continue
		}
		got := strings.Join(header.Values(name), ", ")
		if err := matchText(want[0], got, variables); err != nil {
			t.Errorf("header %s: %v", name, err)
		}
	}
	if wantBody == "<any>" {
		return
	}
	if err := matchBody(wantBody, body, variables); err != nil {
		t.Errorf("body %s:\n%v", body, err)
	}
}

// message splits a message of a script into its first line, header and body.
func message(t *testing.T, text string) (first string, header textproto.MIMEHeader, body string) {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	first, fields, _ := strings.Cut(head, "\n")
	header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(strings.TrimSpace(fields) + "\r\n\r\n"))).ReadMIMEHeader()
	if err != nil && fields != "" {
		t.Fatalf("header %q: %v", fields, err)
	}
	return strings.TrimSpace(first), header, strings.TrimSuffix(body, "\n")
}

// send sends a request of a script just as it is written: its path may be one
// that no URL type would let through.
func send(t *testing.T, base, text string) (status int, header http.Header, body string) {
	t.Helper()
	first, fields, payload := message(t, text)
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialTimeout("tcp", u.Host, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(90 * time.Second)); err != nil {
		t.Fatal(err)
	}
	method, path, _ := strings.Cut(first, " ")
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, u.Path+path, u.Host)
	if payload != "" && fields.Get("Content-Type") == "" {
		b.WriteString("Content-Type: application/json\r\n")
	}
	if fields.Get("Kbn-Xsrf") == "" {
		b.WriteString("kbn-xsrf: true\r\n") // Kibana demands it
	}
	for name, values := range fields {
		fmt.Fprintf(&b, "%s: %s\r\n", name, values[0])
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(payload), payload)
	go func() { _, _ = conn.Write(b.Bytes()) }() // a refused body may not be read to its end
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("read response: %v", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read response: %v", err)
	}
	return response.StatusCode, response.Header, string(answer)
}

var expression = regexp.MustCompile(`\$\{([^}:]+)(?::(\d+):([^}]*))?\}`)

// expand replaces ${name} by a variable and ${repeat:3:ab} by ababab.
func expand(text string, variables map[string]string) string {
	return expression.ReplaceAllStringFunc(text, func(found string) string {
		part := expression.FindStringSubmatch(found)
		if part[1] == "repeat" {
			n, _ := strconv.Atoi(part[2])
			return strings.Repeat(part[3], n)
		}
		value, ok := variables[part[1]]
		if !ok {
			return found // a slip: the placeholder stays and will match nothing
		}
		return value
	})
}
