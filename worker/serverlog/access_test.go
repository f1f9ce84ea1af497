package serverlog_test

import (
	"bytes"
	"log/slog"
	"testing"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/pool"
	"patchbay.dev/worker/serverlog"
)

// The patterns of a key are about indices.
func TestCallerWithoutAnyIndexMayLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	executor := serverlog.New(slog.New(slog.NewJSONHandler(&log, nil)))
	data, err := executor.Execute(t.Context(), pool.Job[connector.None, connector.None, connector.ServerLogParams]{
		Params: connector.ServerLogParams{Message: "hello", Level: "info"},
		Access: &wire.Access{Key: "k1", Indices: []string{}},
	})
	if data != nil || err != nil || !bytes.Contains(log.Bytes(), []byte("Server log: hello")) {
		t.Errorf("Execute: %s, %v, log %s", data, err, log.String())
	}
}
