// Package serverlog executes ".server-log" connectors: it writes their messages
// to the worker's own log.
package serverlog

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/setting"
	"patchbay.dev/worker/pool"
)

// Executor writes to a log.
type Executor struct{ log *slog.Logger }

// New returns an Executor that writes to log.
func New(log *slog.Logger) *Executor {
	return &Executor{log.With("logger", "plugins.actions.server-log")}
}

// Execute writes one line, "Server log: " and the message, at the level of the
// params, and returns no data.
func (e *Executor) Execute(ctx context.Context, job pool.Job[connector.None, connector.None, connector.ServerLogParams]) (json.RawMessage, error) {
	level, _ := setting.Level(string(job.Params.Level)) // the params name no other
	//nolint:sloglint // the message is what the connector is for
	e.log.LogAttrs(ctx, level, "Server log: "+oneLine(job.Params.Message),
		slog.String("space", job.Space), slog.String("connector", job.ConnectorID), slog.String("execution", job.ExecutionID))
	return nil, nil
}

// oneLine replaces each character with which a message could break or forge a
// log line by a semicolon, as Kibana does; a tab stays.
func oneLine(message string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return r
		case r < 0x20, r >= 0x7f && r <= 0x9f, r == 0x2028, r == 0x2029:
			return ';'
		default:
			return r
		}
	}, message)
}
