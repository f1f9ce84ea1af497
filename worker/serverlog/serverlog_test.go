package serverlog_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/setting"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/pool"
	"patchbay.dev/worker/pool/pooltest"
	"patchbay.dev/worker/serverlog"
)

func TestConformance(t *testing.T) { //nolint:paralleltest // the suite counts goroutines
	pooltest.Run(t, pooltest.Executor{
		New: func(_ *testing.T, log *slog.Logger) (pool.Handler, func()) {
			return pool.Handle(connector.ServerLog, serverlog.New(log).Execute), func() {}
		},
		Good: wire.Request{
			Connector: wire.Connector{Type: ".server-log", Config: json.RawMessage(`{}`)},
			Params:    json.RawMessage(`{"message":"hello"}`),
		},
	})
}

func TestExecuteWritesOneLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, message string
		level         connector.LogLevel
		wantLevel     slog.Level
		wantMessage   string
	}{
		{"info", "all is well", "info", slog.LevelInfo, "Server log: all is well"},
		{"trace", "", "trace", setting.LevelTrace, "Server log: "},
		{"debug", "d", "debug", slog.LevelDebug, "Server log: d"},
		{"warn", "w", "warn", slog.LevelWarn, "Server log: w"},
		{"error", "e", "error", slog.LevelError, "Server log: e"},
		{"fatal", "f", "fatal", setting.LevelFatal, "Server log: f"},
		{"line breaks", "a\nb\r\nc", "info", slog.LevelInfo, "Server log: a;b;;c"},
		{"a tab stays", "a\tb", "info", slog.LevelInfo, "Server log: a\tb"},
		{"control characters, one for one", "\x00\x08\x0b\x1f\x7f\u0080\u009f\u2028\u2029", "info", slog.LevelInfo, "Server log: ;;;;;;;;;"},
		{"other characters stay", "\u00a0\u2027\u202aé😀", "info", slog.LevelInfo, "Server log: \u00a0\u2027\u202aé😀"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			executor := serverlog.New(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: setting.LevelTrace})))
			data, err := executor.Execute(t.Context(), pool.Job[connector.None, connector.None, connector.ServerLogParams]{
				Space: "default", ConnectorID: "c", ExecutionID: "e",
				Params: connector.ServerLogParams{Message: test.message, Level: test.level},
			})
			if data != nil || err != nil {
				t.Fatalf("Execute: %s, %v, want no data and no error", data, err)
			}
			if n := bytes.Count(log.Bytes(), []byte("\n")); n != 1 {
				t.Errorf("%d lines, want 1:\n%s", n, log.String())
			}
			var got struct {
				Level     slog.Level `json:"level"`
				Message   string     `json:"msg"`
				Logger    string     `json:"logger"`
				Space     string     `json:"space"`
				Connector string     `json:"connector"`
				Execution string     `json:"execution"`
			}
			if err := json.Unmarshal(log.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			want := got
			want.Level, want.Message = test.wantLevel, test.wantMessage
			want.Logger, want.Space, want.Connector, want.Execution = "plugins.actions.server-log", "default", "c", "e"
			if got != want {
				t.Errorf("line: %+v, want %+v", got, want)
			}
		})
	}
}
