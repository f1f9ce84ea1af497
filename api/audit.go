package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"patchbay.dev/shared/wire"
)

// event is what the audit log calls a thing that a caller does, in Kibana's
// names.
type event struct {
	action string // "connector_create"
	kind   string // event.type: access, creation, change, deletion; start of a session
	object string // kibana.saved_object.type: action, space, api_key; "" for none
}

// auditor writes the audit log: one line per event, in Elastic's common schema as
// Kibana's audit log has it. A nil auditor writes nothing.
type auditor struct{ log *slog.Logger }

// newAuditor returns an auditor that writes to handler, nil for a nil one.
func newAuditor(handler slog.Handler) *auditor {
	if handler == nil {
		return nil
	}
	return &auditor{slog.New(handler)}
}

// auditJSON names what slog adds as the schema does.
func auditJSON(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		a.Key = "@timestamp"
	case slog.MessageKey:
		a.Key = "message"
	case slog.LevelKey:
		return slog.Attr{} // every line is as important as the others
	}
	return a
}

// refused writes that a caller was not let in, or may not do what he asked for.
func (a *auditor) refused(c echo.Context, e event, err error) {
	if a != nil && problemOf(err, c).status != http.StatusInternalServerError {
		a.write(c, e, "failure", err)
	}
}

// done writes what was done, or tried. Reading is not written down.
func (a *auditor) done(c echo.Context, e event, err error) {
	if a == nil || e.action == "" || e.kind == "access" && e != toExecute.event {
		return
	}
	outcome := "success"
	if err != nil {
		outcome = "failure"
	} else if e == toExecute.event {
		outcome = map[string]string{
			string(wire.OK): "success", string(wire.Error): "failure", string(wire.Unknown): "unknown",
		}[c.Response().Header().Get(headerOutcome)]
	}
	a.write(c, e, outcome, err)
}

const objectKey = "object"

// about tells the audit log which object a request turned out to be about, where
// the path does not name it.
func about(c echo.Context, id string) { c.Set(objectKey, id) }

func (a *auditor) write(c echo.Context, e event, outcome string, err error) {
	r := c.Request()
	category := "database"
	if e.object == "" {
		category = "authentication"
	}
	attrs := []slog.Attr{
		slog.Group("event", "action", e.action, "category", []string{category}, "type", []string{e.kind}, "outcome", outcome),
		slog.Group("client", "ip", c.RealIP()),
		slog.Group("http", slog.Group("request", "method", r.Method)),
		slog.Group("url", "path", shorten(r.URL.Path)),
	}
	if name, id := callerOf(c).user(); id != "" {
		attrs = append(attrs, slog.Group("user", "name", name, "id", id))
	}
	kibana := []any{"space_id", space(c)}
	if e.object != "" {
		id, _ := c.Get(objectKey).(string)
		if id == "" {
			id = param(c, "id")
		}
		kibana = append(kibana, slog.Group("saved_object", "type", e.object, "id", shorten(id)))
	}
	if id := c.Response().Header().Get(headerExecutionID); id != "" {
		kibana = append(kibana, slog.Group("action", slog.Group("execution", "uuid", id)))
	}
	attrs = append(attrs, slog.Group("kibana", kibana...))
	if err != nil {
		p := problemOf(err, c)
		attrs = append(attrs, slog.Group("error", "code", http.StatusText(p.status), "message", shorten(p.message)))
	}
	//nolint:sloglint // the message is the event
	a.log.LogAttrs(context.Background(), slog.LevelInfo, strings.ReplaceAll(e.action, "_", " ")+": "+outcome, attrs...)
}

// shorten bounds what a stranger can write into the log.
func shorten(text string) string {
	const limit = 1024 // bytes
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}
