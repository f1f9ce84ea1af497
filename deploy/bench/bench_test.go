package main

import (
	"bufio"
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The run fails if a request is not answered as it should or a program does not
// exit with 0, so that this holds the benchmark to the product.
func TestQuickRunReportsEveryRow(t *testing.T) {
	t.Parallel()
	c := quick
	c.connections = []int{64, 1}
	ctx, stop := context.WithTimeout(t.Context(), 4*time.Minute) // building takes most of it
	defer stop()
	var out strings.Builder
	if err := run(ctx, c, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	t.Log(out.String())

	// Only the rows: a busy machine may have other units, or no answer at all in
	// so short a time.
	figure := regexp.MustCompile(`(–|[0-9][0-9.]*)( µs| ms| MiB| %)?( \([^)]*\))?`)
	var got []string
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "| ") {
			first, rest, _ := strings.Cut(strings.Trim(line, "| \n"), " | ")
			got = append(got, first+" | "+figure.ReplaceAllString(rest, "N"))
		}
	}
	want := []string{
		"Connections | Program | Executions/s | pN | pN | Server CPU per execution | Load generator's share of CPU",
		"64 | floor | N | N | N | N | N",
		"64 | Patchbay | N | N | N | N | N",
		"1 | floor | N | N | N | N | N",
		"1 | Patchbay | N | N | N | N | N",
		"Connections | Executions/s | pN | Server CPU per execution",
		"64 | N | N | N",
		"1 | N | N | N",
		"Program | First answer | Resident, idle | Resident, after the load",
		"floor | N | N | N",
		"Patchbay | N | N | N",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	// What the README promises, 80 and 2 times what is usual: the first answer
	// within a second, less than 60 MiB when idle.
	promised := regexp.MustCompile(`(?m)^\| Patchbay \| [0-9.]+ [mµ]s \| ([1-5]?[0-9] MiB|–) \|`)
	if !promised.MatchString(out.String()) {
		t.Errorf("start and memory are not within %s", promised)
	}
}

func TestAnswersOtherThanOKAreErrors(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n"
	for name, test := range map[string]struct{ answers, want string }{
		"two good ones": {ok + `{"status":"ok"}` + ok + `{"status":"ok"}`, ""},
		"status error":  {ok + `{"status":"ok"}` + "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n" + `{"status":"error"}`, `the execution went wrong: {"status":"error"}`},
		"not 200":       {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}" + ok + `{"status":"ok"}`, "unexpected answer: HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}" + ok + `{"status":"ok"}`},
		"no length":     {"HTTP/1.1 200 OK\r\n\r\n" + `{"status":"ok"}`, "the answer has no Content-Length"},
		"cut":           {ok + `{"status":`, "read body: unexpected EOF"},
		"nothing":       {"", "read answer: EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers := answerReader{r: bufio.NewReader(strings.NewReader(test.answers))}
			got := ""
			for range 2 {
				if err := answers.next(); err != nil {
					got = err.Error()
					break
				}
			}
			if got != test.want {
				t.Errorf("error %q, want %q", got, test.want)
			}
		})
	}
}

func TestParseRefusesWhatCannotRun(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-connections", "64,x"}, {"-connections", "0"}, {"-connections", ""}, {"-rounds", "0"}, {"-starts", "0"}, {"-duration", "0s"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("parse(%q) took it", args)
		}
	}
}
