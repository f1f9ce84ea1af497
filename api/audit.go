package api

import (
	"context"
	"errors"
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

// follow does what act does and writes how it ended. Reading is not written down,
// but for what turns out to be forbidden.
func (a *auditor) follow(c echo.Context, e event, act func() error) (err error) {
	if a == nil || e.action == "" {
		return act()
	}
	ended := false
	defer func() {
		if !ended {
			err = errPanic // which goes on, past us
		}
		a.done(c, e, err)
	}()
	err = act()
	ended = true
	return err
}

var errPanic = errors.New("it panicked")

func (a *auditor) done(c echo.Context, e event, err error) {
	executes := e == toExecute.event
	if e.kind == "access" && !executes {
		if err != nil && problemOf(err, c).status == http.StatusForbidden {
			a.write(c, e, "failure", err)
		}
		return
	}
	outcome := "success"
	switch {
	case executes && errors.Is(err, context.Canceled): // a worker may have carried it out
		outcome = "unknown"
	case err != nil:
		outcome = "failure"
	case executes:
		outcome = map[string]string{
			string(wire.OK): "success", string(wire.Error): "failure",
			// So is what is yet to be run.
			string(wire.Unknown): "unknown", "": "unknown",
		}[c.Response().Header().Get(headerOutcome)]
	}
	a.write(c, e, outcome, err)
}

// object is what a line of the audit log is about.
type object struct {
	event     event
	space, id string
}

const (
	objectsKey = "objects"
	failureKey = "failure" // what an execution that failed says
	countsKey  = "counts"  // how many executions a request was about, and what was said to them
)

// about tells the audit log what a request turned out to be about, where the path
// does not name it, or where it is about several things.
func about(c echo.Context, objects ...object) { c.Set(objectsKey, objects) }

func (a *auditor) write(c echo.Context, e event, outcome string, err error) {
	objects, _ := c.Get(objectsKey).([]object)
	if len(objects) == 0 {
		objects = []object{{e, space(c), param(c, "id")}}
	}
	r := c.Request()
	attrs := []slog.Attr{
		slog.Group("client", "ip", c.RealIP()),
		slog.Group("http", slog.Group("request", "method", r.Method)),
		slog.Group("url", "path", shorten(r.URL.Path)),
	}
	if name, id := callerOf(c).user(); id != "" {
		attrs = append(attrs, slog.Group("user", "name", name, "id", id))
	}
	if message, failed := c.Get(failureKey).(string); failed {
		attrs = append(attrs, slog.Group("error", "message", shorten(message)))
	}
	if counts, ok := c.Get(countsKey).(slog.Attr); ok {
		attrs = append(attrs, counts)
	}
	if err != nil {
		p := problemOf(err, c)
		attrs = append(attrs, slog.Group("error", "code", http.StatusText(p.status), "message", shorten(p.message)))
	}
	for _, o := range objects {
		a.line(o, outcome, c.Response().Header().Get(headerExecutionID), attrs)
	}
}

// command writes what was done on the command line.
func (a *auditor) command(o object) {
	if a != nil {
		a.line(o, "success", "", []slog.Attr{slog.Group("user", "name", "command line")})
	}
}

// line writes one line.
func (a *auditor) line(o object, outcome, execution string, attrs []slog.Attr) {
	category := "database"
	if o.event.object == "" {
		category = "authentication"
	}
	kibana := []any{"space_id", shorten(o.space)}
	if o.event.object != "" {
		kibana = append(kibana, slog.Group("saved_object", "type", o.event.object, "id", shorten(o.id)))
	}
	if execution != "" {
		kibana = append(kibana, slog.Group("action", slog.Group("execution", "uuid", execution)))
	}
	attrs = append([]slog.Attr{
		slog.Group("event", "action", o.event.action, "category", []string{category}, "type", []string{o.event.kind}, "outcome", outcome),
		slog.Group("kibana", kibana...),
	}, attrs...)
	//nolint:sloglint // the message is the event
	a.log.LogAttrs(context.Background(), slog.LevelInfo, strings.ReplaceAll(o.event.action, "_", " ")+": "+outcome, attrs...)
}

// shorten bounds what a stranger can write into the log.
func shorten(text string) string {
	const limit = 1024 // bytes
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}
