package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReaderTakesWhatTheProgramsSpeak(t *testing.T) {
	t.Parallel()
	type answer struct {
		Status int
		Body   string
		Err    string
	}
	const ok = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes"
	for name, test := range map[string]struct {
		stream string
		want   []answer
	}{
		"two":       {ok + ok, []answer{{200, "yes", ""}, {200, "yes", ""}}},
		"refusal":   {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}" + ok, []answer{{503, "{}", ""}, {200, "yes", ""}}},
		"in chunks": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nye\r\n1\r\ns\r\n0\r\n\r\n" + ok, []answer{{200, "yes", ""}, {200, "yes", ""}}},
		"no length": {"HTTP/1.1 200 OK\r\n\r\nyes", []answer{{0, "", "the answer has no Content-Length"}}},
		"cut":       {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nye", []answer{{0, "", "read body: unexpected EOF"}}},
		"cut chunk": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ny", []answer{{200, "", "read body: unexpected EOF"}}},
		"not HTTP":  {"SSH-2.0\r\n", []answer{{0, "", `this is no answer: "SSH-2.0\r\n"`}}},
		"nothing":   {"", []answer{{0, "", "read answer: EOF"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var reader answerReader
			reader.reset(strings.NewReader(test.stream))
			var got []answer
			for range test.want {
				status, err := reader.next()
				if err != nil {
					got = append(got, answer{status, "", err.Error()})
					break
				}
				got = append(got, answer{status, string(reader.body), ""})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
}

// serve starts a server that answers like h and returns a load for it.
func serve(t *testing.T, h http.HandlerFunc) load {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	p := &process{address: server.Listener.Addr().String()}
	l := to(p, "/", "{}", "good")
	l.programs = nil
	return l
}

func TestEveryRequestIsAccountedFor(t *testing.T) {
	t.Parallel()
	type outcome struct {
		Good, Refused, GaveUp, Failed bool
		Err                           string
	}
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not see that the client left
		<-r.Context().Done()
	}
	for name, test := range map[string]struct {
		handler  http.HandlerFunc
		lenient  bool
		patience time.Duration
		want     outcome
	}{
		"good":                      {answer(200, "good"), false, 0, outcome{Good: true}},
		"good, lenient":             {answer(200, "good"), true, time.Minute, outcome{Good: true}},
		"another body":              {answer(200, "bad"), false, 0, outcome{Err: "a request failed: unexpected answer: 200 bad"}},
		"another body, lenient":     {answer(200, "bad"), true, 0, outcome{Failed: true}},
		"refused":                   {answer(503, "no"), false, 0, outcome{Err: "a request failed: unexpected answer: 503 no"}},
		"refused, lenient":          {answer(503, "no"), true, 0, outcome{Refused: true}},
		"too many, lenient":         {answer(429, "no"), true, 0, outcome{Refused: true}},
		"another status, lenient":   {answer(500, "good"), true, 0, outcome{Failed: true}},
		"no answer":                 {hang, true, 10 * time.Millisecond, outcome{GaveUp: true}},
		"no answer, for the strict": {hang, false, 10 * time.Millisecond, outcome{GaveUp: true}},
	} {
		for _, rate := range []float64{0, 100} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				l := serve(t, test.handler)
				l.callers, l.rate, l.lenient, l.patience = 2, rate, test.lenient, test.patience
				found, err := l.measure(t.Context(), time.Millisecond, 300*time.Millisecond)
				failed := found.gaveUp > 0 && test.patience != 10*time.Millisecond
				got := outcome{Good: found.rate > 0, Refused: found.refused > 0, GaveUp: found.gaveUp > 0 && !failed, Failed: failed}
				if err != nil {
					got.Err = err.Error()
				}
				if got != test.want {
					t.Errorf("rate %.0f: %+v, want %+v", rate, got, test.want)
				}
			})
		}
	}
}

func TestFixedRateDoesNotWaitForAnswers(t *testing.T) {
	t.Parallel()
	const together = 20
	var all sync.WaitGroup
	all.Add(together)
	var mu sync.Mutex
	came := 0
	l := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		if came++; came <= together {
			all.Done()
		}
		mu.Unlock()
		all.Wait() // nobody is answered before all have asked
		_, _ = w.Write([]byte("good"))
	})
	l.rate = 200
	found, err := l.measure(t.Context(), time.Millisecond, time.Second)
	if err != nil || found.rate == 0 {
		t.Errorf("%+v, %v, want answers", found, err)
	}
}
