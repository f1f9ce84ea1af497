package api

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

// kibanaEntry is one attempt as Kibana 8.19's log of connectors shows it.
type kibanaEntry struct {
	ID            string   `json:"id"`
	Timestamp     stamp    `json:"timestamp"`
	Duration      int64    `json:"duration_ms"`
	Status        string   `json:"status"` // success, failure or unknown
	Message       string   `json:"message"`
	Version       string   `json:"version"`
	ScheduleDelay int64    `json:"schedule_delay_ms"`
	SpaceIDs      []string `json:"space_ids"`
	ConnectorName string   `json:"connector_name"`
	ConnectorID   string   `json:"connector_id"`
	TimedOut      bool     `json:"timed_out"`
}

type kibanaLog struct {
	Total int           `json:"total"`
	Data  []kibanaEntry `json:"data"`
}

// kibanaLogs answers with attempts that ended, of the spaces that are asked for.
func (s *server) kibanaLogs(c echo.Context, asked logAsked) error {
	entries, total, err := s.ledger.Entries(c.Request().Context(), asked.filter(space(c)), asked.sorts, asked.perPage, asked.page)
	if err != nil {
		return err
	}
	log := kibanaLog{Total: total, Data: make([]kibanaEntry, len(entries))}
	for i := range entries {
		log.Data[i] = presentEntry(&entries[i])
	}
	return writeJSON(c, http.StatusOK, log)
}

// kibanaCounts are attempts by how they ended, in Kibana's words.
type kibanaCounts struct {
	Success int `json:"success"`
	Unknown int `json:"unknown"`
	Failure int `json:"failure"`
	Warning int `json:"warning"` // nothing here is one
}

// kibanaKPI counts attempts that ended.
func (s *server) kibanaKPI(c echo.Context, asked logAsked) error {
	outcomes, err := s.ledger.Outcomes(c.Request().Context(), asked.filter(space(c)))
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, kibanaCounts{
		Success: outcomes[wire.OK], Failure: outcomes[wire.Error], Unknown: outcomes[wire.Unknown] + outcomes[ledger.Cancelled],
	})
}

// kibanaStatus is the word for an outcome: of what was cancelled nobody knows either.
func kibanaStatus(o wire.Outcome) string {
	switch o {
	case wire.OK:
		return "success"
	case wire.Error:
		return "failure"
	default:
		return "unknown"
	}
}

func presentEntry(e *ledger.Entry) kibanaEntry {
	a := &e.Attempt
	return kibanaEntry{
		ID: e.ID, Timestamp: stamp{a.StartedAt}, Duration: (a.Dispatch + a.Run).Milliseconds(), Status: kibanaStatus(a.Outcome),
		Message: kibanaMessage(e), Version: kibanaVersion, ScheduleDelay: a.Queue.Milliseconds(),
		SpaceIDs: []string{e.Space}, ConnectorName: e.ConnectorName, ConnectorID: e.ConnectorID,
	}
}

// kibanaMessage is the sentence of Kibana's event log.
func kibanaMessage(e *ledger.Entry) string {
	what := fmt.Sprintf("%s:%s: %s", e.Type, e.ConnectorID, e.ConnectorName)
	f := e.Attempt.Failure
	if f == nil {
		return "action executed: " + what
	}
	var b strings.Builder
	b.WriteString("action execution failure: " + what + " - " + f.Error())
	if retry, err := f.Retry.MarshalJSON(); err == nil {
		switch text := strings.Trim(string(retry), `"`); text {
		case "true":
			b.WriteString("; retry: true")
		case "false", "null":
		default:
			b.WriteString("; retry at " + text)
		}
	}
	return b.String()
}

// filter returns what is asked for, in the space of the path if no other is named.
func (l logAsked) filter(space string) ledger.Filter {
	f := l.selected
	if f.Spaces = l.Namespaces; len(f.Spaces) == 0 {
		f.Spaces = []string{space}
	}
	f.From, f.Until = (&l.Start).time(), l.End.time()
	if !f.Until.IsZero() {
		f.Until = f.Until.Add(time.Nanosecond) // Kibana's end is in the range
	}
	return f
}
