package elastictest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	bulkJSON = "POST /any/_bulk?refresh=false HTTP/1.1\nContent-Type: application/json\n"
	index    = `{"index":{"op_type":"create"}}` + "\n"
)

// exchange sends a request whose head has bare line feeds, and a
// Content-Length if it names none itself, and returns what is answered.
func exchange(t *testing.T, s *Server, head, body string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if !strings.Contains(head, "Content-Length") && !strings.Contains(head, "Transfer-Encoding") {
		head += fmt.Sprintf("Content-Length: %d\n", len(body))
	}
	head += "Host: es\n\n"
	if _, err := io.WriteString(conn, strings.ReplaceAll(head, "\n", "\r\n")+body); err != nil {
		t.Fatal(err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && strings.Contains(head, "Content-Length: 9999") {
		_ = tcp.CloseWrite() // no more will come
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(answer)
}

func TestServerTakesWhatElasticsearchTakes(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, head, body, index string }{
		{"index with op_type", bulkJSON, index + "{\"a\":1}\n", "any"},
		{"create", bulkJSON, "{\"create\":{}}\n{\"a\":1}\n", "any"},
		{"index in the action", "POST /_bulk?refresh=wait_for HTTP/1.1\nContent-Type: application/x-ndjson\n",
			`{"create":{"_index":"other"}}` + "\n{\"a\":1}\n", "other"},
		{"escaped index", "POST /a%252fb/_bulk?refresh=true HTTP/1.1\nContent-Type: application/vnd.elasticsearch+json;compatible-with=8\n",
			index + "{\"a\":1}\n", "a%2fb"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := Start()
			defer s.Close()
			response, answer := exchange(t, s, test.head, test.body)
			var got bulkAnswer
			if err := json.Unmarshal([]byte(answer), &got); err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != 200 || got.Errors || len(got.Items) != 1 || got.Items[0].Create.Index != test.index {
				t.Errorf("%s: %s", response.Status, answer)
			}
			if h := response.Header; h.Get("X-Elastic-Product") != "Elasticsearch" || h.Get("Content-Type") != "application/json" {
				t.Errorf("header %v", h)
			}
			if got := fmt.Sprintf("%s", s.Documents(test.index)); got != `[{"a":1}]` {
				t.Errorf("documents %s", got)
			}
			if diff := cmp.Diff([]string(nil), s.Violations()); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestServerSeesEveryBreach(t *testing.T) {
	t.Parallel()
	const good = index + "{}\n"
	tests := []struct {
		name, head, body string
		status           int
		want             string // the violation, after its request
	}{
		{"other path", "POST /any/_doc?refresh=false HTTP/1.1\n", "{}", 400,
			"no handler found for uri [/any/_doc?refresh=false] and method [POST]"},
		{"deeper path", "POST /a/b/_bulk?refresh=false HTTP/1.1\n", good, 400,
			"no handler found for uri [/a/b/_bulk?refresh=false] and method [POST]"},
		{"other method", "PUT /any/_bulk?refresh=false HTTP/1.1\n", good, 405,
			"Incorrect HTTP method for uri [/any/_bulk?refresh=false] and method [PUT], allowed: [POST]"},
		{"escaped slash", "POST /a%2fb/_bulk?refresh=false HTTP/1.1\n", good, 400,
			`Invalid index name [a/b], must not contain the following characters [' ','"','*','\','<','|',',','>','/','?']`},
		{"upper case", "POST /A/_bulk?refresh=false HTTP/1.1\n", good, 400, "Invalid index name [A], must be lowercase"},
		{"all", "POST /_all/_bulk?refresh=false HTTP/1.1\n", good, 400, "Invalid index name [_all], must not start with '_', '-', or '+'"},
		{"parent", "POST /../_bulk?refresh=false HTTP/1.1\n", good, 400, "Invalid index name [..], must not be '.' or '..'"},
		{"empty index", "POST //_bulk?refresh=false HTTP/1.1\n", good, 400, "Invalid index name [], must not be empty"},
		{"no refresh", "POST /any/_bulk HTTP/1.1\nContent-Type: application/json\n", good, 200, "the request does not say refresh"},
		{"odd refresh", "POST /any/_bulk?refresh=yes HTTP/1.1\nContent-Type: application/json\n", good, 400, `Unknown value for refresh: ["yes"].`},
		{"other parameter", "POST /any/_bulk?refresh=true&x=1 HTTP/1.1\nContent-Type: application/json\n", good, 400,
			"request [/any/_bulk] contains unrecognized parameter: [x]"},
		{"no content type", "POST /any/_bulk?refresh=false HTTP/1.1\n", good, 406, "Content-Type header [] is not supported"},
		{"other content type", "POST /any/_bulk?refresh=false HTTP/1.1\nContent-Type: text/plain\n", good, 406,
			"Content-Type header [text/plain] is not supported"},
		{"no length", bulkJSON + "Transfer-Encoding: chunked\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(good), good), 200,
			"the request has no Content-Length"},
		{"body too short", bulkJSON + "Content-Length: 9999\n", good, 400, "the body is shorter than its Content-Length: unexpected EOF"},
		{"no line break at the end", bulkJSON, index + "{}", 400, `The bulk request must be terminated by a newline [\n]`},
		{"blank action", bulkJSON, "\n" + good, 400, "line 1 is blank"},
		{"blank line at the end", bulkJSON, good + "\n", 400, "line 3 is blank"},
		{"blank document", bulkJSON, index + "\n", 400, "line 2 is blank"},
		{"no document", bulkJSON, good + index, 400, "Validation Failed: 1: no requests added;"},
		{"document over two lines", bulkJSON, index + "{\"a\":\n1}\n", 400, "line 2 is not one JSON value"},
		{"two documents", bulkJSON, index + "{}{}\n", 400, "line 2 is not one JSON value"},
		{"document that is no object", bulkJSON, index + "[{}]\n", 400, "line 2 is not an object"},
		{"carriage return", bulkJSON, index + "{}\r\n", 400, "line 2 has a carriage return"},
		{"not UTF-8", bulkJSON, index + "{\"\xff\":1}\n", 400, "line 2 is not UTF-8"},
		{"two actions", bulkJSON, `{"create":{},"index":{"op_type":"create"}}` + "\n{}\n", 400,
			"Malformed action/metadata line [1], expected one action but found 2"},
		{"other action", bulkJSON, `{"delete":{}}` + "\n{}\n", 400,
			"Malformed action/metadata line [1], expected one of [create, index] but found [delete]"},
		{"no op_type", bulkJSON, good + `{"index":{}}` + "\n{}\n", 400,
			"Malformed action/metadata line [3], expected op_type create but found []"},
		{"other op_type", bulkJSON, `{"create":{"op_type":"index"}}` + "\n{}\n", 400,
			`Malformed action/metadata line [1], expected op_type create but found ["index"]`},
		{"other parameter of an action", bulkJSON, `{"create":{"id":"1"}}` + "\n{}\n", 400, "Action/metadata line [1] contains an unknown parameter [id]"},
		{"empty id", bulkJSON, `{"create":{"_id":""}}` + "\n{}\n", 400, "Validation Failed: 1: if _id is specified it must not be empty;"},
		{"long id", bulkJSON, `{"create":{"_id":"` + strings.Repeat("x", 513) + `"}}` + "\n{}\n", 400,
			"Validation Failed: 1: id [" + strings.Repeat("x", 513) + "] is too long, must be no longer than 512 bytes but was: 513;"},
		{"id that is no text", bulkJSON, `{"create":{"_id":1}}` + "\n{}\n", 400,
			"Malformed action/metadata line [1], _id: json: cannot unmarshal number into Go value of type string"},
		{"no index", "POST /_bulk?refresh=false HTTP/1.1\nContent-Type: application/json\n", good, 400, "Validation Failed: 1: index is missing;"},
		{"bad index in the action", bulkJSON, `{"create":{"_index":"A"}}` + "\n{}\n", 400, "Invalid index name [A], must be lowercase"},
		{"odd status for an item", "POST /per-item/_bulk?refresh=false HTTP/1.1\nContent-Type: application/json\n",
			index + `{"status":418}` + "\n", 200, "per-item: a document asks for the status 418"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := Start()
			defer s.Close()
			response, answer := exchange(t, s, test.head, test.body)
			if response.StatusCode != test.status {
				t.Errorf("status %d, want %d", response.StatusCode, test.status)
			}
			violations := s.Violations()
			if len(violations) != 1 || !strings.HasSuffix(violations[0], test.want) {
				t.Errorf("violations %q, want %q", violations, test.want)
			}
			if test.status == 200 {
				return
			}
			if got := len(s.Documents("any")); got != 0 {
				t.Errorf("%d documents were written", got)
			}
			var refusal struct {
				Error struct {
					Root   []cause `json:"root_cause"`
					Reason string
				}
				Status int
			}
			if err := json.Unmarshal([]byte(answer), &refusal); err != nil {
				t.Fatal(err)
			}
			if refusal.Status != test.status || refusal.Error.Reason != test.want || len(refusal.Error.Root) != 1 {
				t.Errorf("answer %s, want the reason %q", answer, test.want)
			}
		})
	}
}

func TestBatchOverSeveralIndicesKeepsFaultsApart(t *testing.T) {
	t.Parallel()
	s := Start()
	defer s.Close()
	to := func(index, document string) string {
		return `{"create":{"_index":"` + index + `"}}` + "\n" + document + "\n"
	}
	_, answer := exchange(t, s, "POST /_bulk?refresh=false HTTP/1.1\nContent-Type: application/json\n",
		to("any", `{"status":400}`)+to("per-item", `{"status":409}`)+to("per-item", `{"status":201}`)+to("no-reason", `{}`))
	var got bulkAnswer
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatal(err)
	}
	var statuses []int
	for _, i := range got.Items {
		statuses = append(statuses, i.Create.Status)
	}
	if diff := cmp.Diff([]int{201, 409, 201, 400}, statuses); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	response, _ := exchange(t, s, "POST /_bulk?refresh=false HTTP/1.1\nContent-Type: application/json\n", to("any", `{}`)+to("status-429", `{}`))
	if response.StatusCode != http.StatusTooManyRequests {
		t.Errorf("status %d, want 429", response.StatusCode)
	}
	if got := len(s.Documents("any")); got != 1 {
		t.Errorf("%d documents were written to any, want 1", got)
	}
}

func TestAnIdIsTakenOncePerIndex(t *testing.T) {
	t.Parallel()
	s := Start()
	defer s.Close()
	to := func(index, id, document string) string {
		return `{"index":{"_index":"` + index + `","op_type":"create","_id":"` + id + `"}}` + "\n" + document + "\n"
	}
	const head = "POST /_bulk?refresh=false HTTP/1.1\nContent-Type: application/json\n"
	for _, want := range []string{`[{201 a x} {201 a y} {409 a x} {201 b x}]`, `[{409 a x} {409 a y} {409 a x} {409 b x}]`} {
		_, body := exchange(t, s, head, to("a", "x", `{"n":1}`)+to("a", "y", `{"n":2}`)+to("a", "x", `{"n":3}`)+to("b", "x", `{"n":4}`))
		var got bulkAnswer
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		type fared struct {
			status    int
			index, id string
		}
		var all []fared
		for _, i := range got.Items {
			all = append(all, fared{i.Create.Status, i.Create.Index, i.Create.ID})
			if conflict := i.Create.Error; (i.Create.Status == 409) != (conflict != nil && conflict.Type == "version_conflict_engine_exception") {
				t.Errorf("item %+v", i)
			}
		}
		if got := fmt.Sprint(all); got != want {
			t.Errorf("items %s, want %s", got, want)
		}
	}
	if got := fmt.Sprintf("%s %s", s.Documents("a"), s.IDs("a")); got != `[{"n":1} {"n":2}] [x y]` {
		t.Errorf("documents %s", got)
	}
	// Those that the server makes are never taken.
	for range 2 {
		if _, body := exchange(t, s, bulkJSON, index+"{}\n"); !strings.Contains(body, `"errors":false`) {
			t.Errorf("answer %s", body)
		}
	}
}

func TestFirstAnswerIsLostAndItsDocumentKept(t *testing.T) {
	t.Parallel()
	s := Start()
	defer s.Close()
	post := func() error {
		response, err := http.Post(s.URL()+"/reset-first/_bulk?refresh=false", "application/json", strings.NewReader(index+"{}\n"))
		if err != nil {
			return err
		}
		return response.Body.Close()
	}
	if err := post(); err == nil {
		t.Error("the first request was answered")
	}
	if err := post(); err != nil {
		t.Errorf("the second request: %v", err)
	}
	if got := len(s.Documents("reset-first")); got != 2 {
		t.Errorf("%d documents, want both", got)
	}
}

func TestFaultsThatPass(t *testing.T) {
	t.Parallel()
	s := StartWith(Options{MaxBody: 100, Delay: time.Microsecond})
	defer s.Close()
	for _, want := range []struct {
		index, document string
		status          int
		part            string
	}{
		{"crowded", `{"a":1}`, 200, `"status":429`},
		{"crowded", `{"a":1}`, 200, `"status":201`},
		{"crowded", `{"a":2}`, 200, `"status":429`},
		{"crowded-whole", `{"a":1}`, 429, "es_rejected_execution_exception"},
		{"crowded-whole", `{"a":1}`, 200, `"status":201`},
		{"ingest", `{"a":1}`, 200, `"took":3,"ingest_took":1,`},
		{"status-400", `{"a":1}`, 400, "illegal_argument_exception"},
		{"any", `{"a":"` + strings.Repeat("x", 60) + `"}`, 200, `"status":201`},
		{"any", `{"a":"` + strings.Repeat("x", 61) + `"}`, 413, ""},
	} {
		head := "POST /" + want.index + "/_bulk?refresh=false HTTP/1.1\nContent-Type: application/json\n"
		response, answer := exchange(t, s, head, index+want.document+"\n")
		if response.StatusCode != want.status || !strings.Contains(answer, want.part) {
			t.Errorf("%s %s: %s %s, want %d with %s", want.index, want.document, response.Status, answer, want.status, want.part)
		}
	}
}

func TestCloseEndsWhoWaits(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"silent", "any"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Start()
			if name != "silent" {
				s.Hold() // never released
			}
			done := make(chan error, 1)
			go func() {
				response, err := http.Post(s.URL()+"/"+name+"/_bulk?refresh=false", "application/json", strings.NewReader(index+"{}\n"))
				if err == nil {
					err = response.Body.Close()
				}
				done <- err
			}()
			if err := s.Wait(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			s.Close()
			s.Close()
			if err := <-done; err == nil {
				t.Error("it was answered")
			}
		})
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := Start()
	defer s.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if err := s.Wait(ctx, 1); !errors.Is(err, enough) {
		t.Errorf("error %v, want %v", err, enough)
	}
}

func TestDiscardKeepsNothing(t *testing.T) {
	t.Parallel()
	s := StartWith(Options{Discard: true})
	defer s.Close()
	exchange(t, s, bulkJSON, index+"{}\n")
	if got := fmt.Sprint(s.Requests(), len(s.Received()), len(s.Documents("any"))); got != "1 0 0" {
		t.Errorf("requests, kept requests and documents: %s, want 1 0 0", got)
	}
}
