package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/api/access"
	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

const sinceEver = "date_start=2020-01-01T00:00:00Z"

// logged returns the ids of the entries of a log, in order, and how many there are.
func (b *bundle) logged(got answer) (ids string, total int) {
	b.Helper()
	var log kibanaLog
	if err := json.Unmarshal([]byte(b.must(got, http.StatusOK).body), &log); err != nil {
		b.Fatal(err)
	}
	var all []string
	for _, e := range log.Data {
		all = append(all, e.ID)
	}
	return strings.Join(all, " "), log.Total
}

func TestKibanaLogIsAskedEitherWay(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{queue: true})
	some(t, b)
	if err := b.server.ledger.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	ascending := `[{"timestamp":{"order":"asc"}}]`
	for _, test := range []struct {
		query, body, want string
		total             int
	}{
		{"", `{}`, "bad-later good-later lost bad good", 5},
		{"&per_page=2&page=2", `{"per_page":2,"page":2}`, "lost bad", 5},
		{"&page=9", `{"page":9}`, "", 5},
		{"&sort=" + url.QueryEscape(ascending), `{"sort":` + ascending + `}`, "good bad lost good-later bad-later", 5},
		{"&date_end=2020-01-02T00:00:00Z", `{"date_end":"2020-01-02T00:00:00Z"}`, "", 0},
		{"&date_end=" + later, `{"date_end":"` + later + `"}`, "bad-later good-later lost bad good", 5},
		{"&namespaces=ops", `{"namespaces":["ops"]}`, "other", 1},
		{"&namespaces=ops&namespaces=default&per_page=1", `{"namespaces":["ops","default"],"per_page":1}`, "bad-later", 6},
		{"&filter=by+itself", `{"filter":"by itself"}`, "bad-later bad", 2},
		{"&filter=event.outcome:success", `{"filter":"event.outcome: success"}`, "good-later good", 2},
		{"&filter=" + url.QueryEscape(`event.outcome: (failure or unknown) and kibana.saved_objects.id: "a"`),
			`{"filter":"event.outcome: (failure OR unknown) AND kibana.saved_objects.id: a"}`, "bad-later lost bad", 3},
		{"&filter=" + url.QueryEscape(`message: "refused" OR error.message: "refused"`), `{"filter":"message: \"refused\" OR error.message: \"refused\""}`, "bad-later bad", 2},
	} {
		body := `{"date_start":"2020-01-01T00:00:00Z"` + strings.Replace(","+test.body[1:], ",}", "}", 1)
		for how, got := range map[string]answer{
			"GET " + test.query: b.send("GET", kibanaLogPath+"_logs?"+sinceEver+test.query, ""),
			"POST " + body:      b.send("POST", kibanaLogPath+"_logs", body),
		} {
			if ids, total := b.logged(got); ids != test.want || total != test.total {
				t.Errorf("%s: %s of %d, want %s of %d", how, ids, total, test.want, test.total)
			}
		}
	}
	if ids, _ := b.logged(b.send("GET", "/s/ops"+kibanaLogPath+"_logs?"+sinceEver, "")); ids != "other" {
		t.Errorf("in the space ops: %s", ids)
	}
	const want = `{"success":2,"unknown":1,"failure":2,"warning":0}`
	b.wantAnswer(b.send("GET", kibanaLogPath+"_kpi?"+sinceEver, ""), http.StatusOK, want)
	b.wantAnswer(b.send("POST", kibanaLogPath+"_kpi", `{"date_start":"2020-01-01T00:00:00Z","filter":"event.outcome: success"}`), http.StatusOK,
		`{"success":2,"unknown":0,"failure":0,"warning":0}`)
	b.wantAnswer(b.send("GET", kibanaLogPath+"_kpi?"+sinceEver+"&namespaces=ops&namespaces=default", ""), http.StatusOK,
		`{"success":3,"unknown":1,"failure":2,"warning":0}`)
}

func TestKibanaLogQueriesAreChecked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const start = `"date_start":"2020-01-01T00:00:00Z"`
	for body, want := range map[string]string{
		`{}`:                                                           "[request body.date_start]: expected value of type [string] but got [undefined]",
		`{"date_start":"now"}`:                                         "[request body.date_start]: a time like 2026-01-02T03:04:05Z is expected",
		`{` + start + `,"per_page":0}`:                                 "[request.per_page]: a whole number from 1 to 1000 is expected",
		`{` + start + `,"per_page":1.5}`:                               "[request.per_page]: a whole number from 1 to 1000 is expected",
		`{` + start + `,"page":-1}`:                                    "[request.page]: a whole number from 1 is expected, and no more than 10000 entries in all",
		`{` + start + `,"page":1001}`:                                  "[request.page]: a whole number from 1 is expected, and no more than 10000 entries in all",
		`{` + start + `,"namespaces":["A"]}`:                           "[request.namespaces]: " + access.SpaceRule,
		`{` + start + `,"sort":[{"foo":{"order":"asc"}}]}`:             "[request body.sort.0.foo]: definition for this key is missing",
		`{` + start + `,"filter":"kibana.saved_objects.id: al*"}`:      `[request.filter]: "kibana.saved_objects.id: al*" is not understood; event.outcome, kibana.saved_objects.id and message are`,
		`{` + start + `,"filter":"kibana.saved_objects.id: (a or b)"}`: `[request.filter]: "kibana.saved_objects.id: (a or b)" is not understood; event.outcome, kibana.saved_objects.id and message are`,
		`{` + start + `,"filter":"kibana.x: y"}`:                       `[request.filter]: "kibana.x: y" is not understood; event.outcome, kibana.saved_objects.id and message are`,
		`{` + start + `,"filter":"event.outcome: warning"}`:            `[request.filter]: "event.outcome: warning" is not understood; event.outcome, kibana.saved_objects.id and message are`,
	} {
		b.wantError(b.sendBad("POST", kibanaLogPath+"_logs", body), http.StatusBadRequest, want)
	}
	b.wantError(b.sendBad("GET", kibanaLogPath+"_kpi", ""), http.StatusBadRequest,
		"[request query.date_start]: expected value of type [string] but got [undefined]")
}

// Every space that is asked for is asked about.
func TestKibanaLogNeedsReadInEverySpace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.key(access.Privileges{Read: []string{"ops", "dev"}})
	for query, want := range map[string]int{
		"": http.StatusForbidden, "&namespaces=ops": http.StatusOK, "&namespaces=ops&namespaces=dev": http.StatusOK,
		"&namespaces=ops&namespaces=default": http.StatusForbidden, "&namespaces=default&namespaces=ops": http.StatusForbidden,
	} {
		for _, route := range []string{"_logs", "_kpi"} {
			b.must(b.send("GET", kibanaLogPath+route+"?"+sinceEver+query, "", key), want)
			if want == http.StatusOK {
				b.must(b.send("GET", "/s/other"+kibanaLogPath+route+"?"+sinceEver+query, "", key), want)
			}
		}
	}
}

func TestKibanaMessage(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for want, failure := range map[string]*wire.Failure{
		"action executed: .index:a: Alerts":                                                        nil,
		"action execution failure: .index:a: Alerts - no":                                          {Message: "no"},
		"action execution failure: .index:a: Alerts - no: busy":                                    {Message: "no", ServiceMessage: "busy", Retry: wire.RetryNever()},
		"action execution failure: .index:a: Alerts - no; retry: true":                             {Message: "no", Retry: wire.RetryLater()},
		"action execution failure: .index:a: Alerts - no: busy; retry at 2026-01-02T03:04:05.000Z": {Message: "no", ServiceMessage: "busy", Retry: wire.RetryAt(at)},
	} {
		e := &ledger.Entry{
			Execution: ledger.Execution{Type: ".index", ConnectorID: "a", ConnectorName: "Alerts"},
			Attempt:   ledger.Attempt{Failure: failure},
		}
		if diff := cmp.Diff(want, kibanaMessage(e)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
