package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"patchbay.dev/shared/setting"
)

// startLine is the one line that a start prints on standard output.
var startLine = regexp.MustCompile(`^Patchbay is ready at (https?://127\.0\.0\.1:\d+) \(data in (.+)\)\n$`)

func TestStartsOnItsOwnAndSaysWhere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout, line := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-http-addr=127.0.0.1:0"},
			[]string{"PATCHBAY_DATA_DIR=" + dir, "PATCHBAY_SLOTS=3", "HOME=/nowhere"}, line, &stderr)
		_ = line.Close()
	}()
	first := make([]byte, 1000)
	n, err := stdout.Read(first)
	if err != nil {
		t.Fatalf("no line: %v, %v", err, <-ended)
	}
	found := startLine.FindStringSubmatch(string(first[:n]))
	if found == nil || found[2] != dir {
		t.Fatalf("line: %q, want %s with %s", first[:n], startLine, dir)
	}
	response, err := http.Get(found[1] + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("readyz: %s", response.Status)
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if rest, err := io.ReadAll(stdout); err != nil || len(rest) > 0 {
		t.Errorf("more on standard output: %q, %v", rest, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("end: %v", err)
	}
	if !strings.Contains(stderr.String(), `"variable":"PATCHBAY_SLOTS"`) {
		t.Errorf("log: %s\nwant a warning that names PATCHBAY_SLOTS", stderr.String())
	}
}

func TestMalformedSettingStopsTheStart(t *testing.T) {
	t.Parallel()
	for variable, want := range map[string]string{
		"PATCHBAY_EXECUTE_TIMEOUT=soon":        `PATCHBAY_EXECUTE_TIMEOUT: "soon" is not valid`,
		"PATCHBAY_WORKER_SLOTS=0":              `PATCHBAY_WORKER_SLOTS: "0" is not valid`,
		"PATCHBAY_LOG_LEVEL=loud":              `PATCHBAY_LOG_LEVEL: "loud" is not valid`,
		"PATCHBAY_MAX_BODY=-1":                 `PATCHBAY_MAX_BODY: "-1" is not valid`,
		"PATCHBAY_WORKER_TYPES=.mail":          `PATCHBAY_WORKER_TYPES: ".mail" is not a connector type`,
		"PATCHBAY_ELASTICSEARCH_URL=localhost": `PATCHBAY_ELASTICSEARCH_URL: `,
		"PATCHBAY_CONFIG=/nowhere/at/all.yml":  `PATCHBAY_CONFIG: `,
		"PATCHBAY_HTTP_ADDR=nonsense":          `PATCHBAY_HTTP_ADDR: `,
		"PATCHBAY_TLS_CERT_FILE=/nowhere.crt":  `PATCHBAY_TLS_KEY_FILE: it is not set`,
		"PATCHBAY_READ_TIMEOUT=0":              `PATCHBAY_READ_TIMEOUT: "0" is not valid`,
		"PATCHBAY_MAX_HEADER=64k":              `PATCHBAY_MAX_HEADER: "64k" is not valid`,
	} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), []string{"-data-dir=" + t.TempDir()},
				[]string{"PATCHBAY_HTTP_ADDR=127.0.0.1:0", variable}, io.Discard, t.Output())
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("start: %v, want an error that begins with %q", err, want)
			}
		})
	}
}

func TestHelpListsEverySetting(t *testing.T) {
	t.Parallel()
	var help bytes.Buffer
	err := run(t.Context(), []string{"--help"}, nil, io.Discard, &help)
	if !errors.Is(err, flag.ErrHelp) {
		t.Errorf("error: %v, want %v", err, flag.ErrHelp)
	}
	for _, name := range setting.Names() {
		if strings.HasPrefix(name, "PATCHBAY_NATS_") || name == "PATCHBAY_SEAL_PUBLIC_KEY_FILE" { // of the separate programs
			continue
		}
		if !strings.Contains(help.String(), name+"\n") {
			t.Errorf("help does not tell of %s:\n%s", name, help.String())
		}
	}
}
