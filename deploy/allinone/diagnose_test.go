package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestProfilesAreNotOnThePublicPort(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout, line := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-http-addr=127.0.0.1:0", "-diagnostics-addr=127.0.0.1:0"},
			[]string{"PATCHBAY_DATA_DIR=" + t.TempDir()}, line, &stderr)
		_ = line.Close()
	}()
	first := make([]byte, 1000)
	n, err := stdout.Read(first)
	if err != nil {
		t.Fatalf("no line: %v, %v", err, <-ended)
	}
	found := startLine.FindStringSubmatch(string(first[:n]))
	if found == nil {
		t.Fatalf("line: %q", first[:n])
	}
	response, err := http.Get(found[1] + "/debug/pprof/heap")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("profile on the public port: %s, want 404", response.Status)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("end: %v", err)
	}
	if !strings.Contains(stderr.String(), `"msg":"diagnostics are listening","address":"127.0.0.1:`) {
		t.Errorf("log: %s\nwant where the diagnostics listen", stderr.String())
	}
}
