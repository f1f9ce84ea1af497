package index

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/index/elastictest"
	"patchbay.dev/worker/outbound"
	"patchbay.dev/worker/pool"
)

var clock = time.Date(2026, 3, 4, 5, 6, 7, 89_123_456, time.UTC)

const maxResponse = 1 << 20

type job = pool.Job[connector.IndexConfig, connector.None, connector.IndexParams]

// setup returns an executor whose clock stands still and the cluster it writes
// to. The test fails if the cluster sees a breach of its protocol.
func setup(t *testing.T) (*Executor, *elastictest.Server) {
	t.Helper()
	cluster := elastictest.Start()
	e := newExecutor(t, Config{URL: cluster.URL()})
	t.Cleanup(func() {
		e.Close()
		cluster.Close()
		if violations := cluster.Violations(); len(violations) > 0 {
			t.Errorf("breaches of the protocol:\n%s", strings.Join(violations, "\n"))
		}
	})
	return e, cluster
}

func newExecutor(t *testing.T, config Config) *Executor {
	t.Helper()
	e, err := New(outbound.New(outbound.Policy{}), config, maxResponse)
	if err != nil {
		t.Fatal(err)
	}
	zone := time.FixedZone("east", 3600) // a worker's clock is not in UTC
	e.now = func() time.Time { return clock.In(zone) }
	return e
}

// newJob decodes a config and params as the pool does.
func newJob(t *testing.T, config, params string) job {
	t.Helper()
	c, _, err := connector.Index.Connector([]byte(config), nil, connector.AllHosts())
	if err != nil {
		t.Fatal(err)
	}
	p, err := connector.Index.Params([]byte(params))
	if err != nil {
		t.Fatal(err)
	}
	return job{Config: c, Params: p}
}

// into returns a job that writes documents, JSON with commas between, to index.
func into(t *testing.T, index, documents string) job {
	t.Helper()
	name, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	return newJob(t, `{"index":`+string(name)+`}`, `{"documents":[`+documents+`]}`)
}

// failure returns the failure that err is.
func failure(t *testing.T, err error) *wire.Failure {
	t.Helper()
	f, ok := errors.AsType[*wire.Failure](err)
	if !ok {
		t.Fatalf("error is %#v, want a *wire.Failure", err)
	}
	return f
}

var comparable = cmp.AllowUnexported(wire.Retry{}) //nolint:predeclared // nothing here is generic

func lines(documents [][]byte) []string {
	var s []string
	for _, d := range documents {
		s = append(s, string(d))
	}
	return s
}

func TestExecuteAnswersWithTheClustersOwnWords(t *testing.T) {
	t.Parallel()
	e, cluster := setup(t)
	got, err := e.Execute(t.Context(), into(t, "alerts", `{"a":1},{"b":2}`))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"errors":false,"took":3,"items":[` +
		`{"create":{"_index":"alerts","_id":"stand-in-00000000001","_version":1,"result":"created",` +
		`"_shards":{"total":2,"successful":1,"failed":0},"_seq_no":0,"_primary_term":1,"status":201}},` +
		`{"create":{"_index":"alerts","_id":"stand-in-00000000002","_version":1,"result":"created",` +
		`"_shards":{"total":2,"successful":1,"failed":0},"_seq_no":1,"_primary_term":1,"status":201}}]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{`{"a":1}`, `{"b":2}`}, lines(cluster.Documents("alerts"))); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
}

func TestExecuteSendsTheRequestThatKibanaSends(t *testing.T) {
	t.Parallel()
	history := `"kibana-alert-history-default"`
	tests := []struct {
		name, config, params string
		want                 elastictest.Request // without header and body
	}{
		{"no refresh by default", `{"index":"a"}`, `{"documents":[{}]}`,
			elastictest.Request{URI: "/a/_bulk?refresh=false", Index: "a", Refresh: "false"}},
		{"refresh", `{"index":"a","refresh":true}`, `{"documents":[{}]}`,
			elastictest.Request{URI: "/a/_bulk?refresh=true", Index: "a", Refresh: "true"}},
		{"override", `{"index":"a"}`, `{"documents":[{}],"indexOverride":` + history + `}`,
			elastictest.Request{URI: "/kibana-alert-history-default/_bulk?refresh=false", Index: "kibana-alert-history-default", Refresh: "false"}},
		{"null override", `{"index":"a"}`, `{"documents":[{}],"indexOverride":null}`,
			elastictest.Request{URI: "/a/_bulk?refresh=false", Index: "a", Refresh: "false"}},
		{"the index of an override may be anything", `{"index":"NOT/valid"}`, `{"documents":[{}],"indexOverride":` + history + `}`,
			elastictest.Request{URI: "/kibana-alert-history-default/_bulk?refresh=false", Index: "kibana-alert-history-default", Refresh: "false"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e, cluster := setup(t)
			if _, err := e.Execute(t.Context(), newJob(t, test.config, test.params)); err != nil {
				t.Fatal(err)
			}
			got := cluster.Received()
			for i := range got {
				// No Accept-Encoding, above all: the answer is passed on as it is.
				headers := slices.Sorted(maps.Keys(got[i].Header))
				if diff := cmp.Diff([]string{"Content-Length", "Content-Type", "User-Agent"}, headers); diff != "" {
					t.Errorf("headers (-want +got):\n%s", diff)
				}
				got[i].Header, got[i].Body = nil, nil
			}
			if diff := cmp.Diff([]elastictest.Request{test.want}, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExecuteSendsDocumentsByteForByte(t *testing.T) {
	t.Parallel()
	const act = `{"index":{"op_type":"create"}}` + "\n"
	tests := []struct{ name, params, want string }{
		{"several", `{"documents":[{"a":1},{"b":[]},{}]}`, act + `{"a":1}` + "\n" + act + `{"b":[]}` + "\n" + act + "{}\n"},
		{"numbers", `{"documents":[{"a":1.0,"b":1e400,"c":12345678901234567890,"d":-0,"e":0.10,"f":1E+2}]}`,
			act + `{"a":1.0,"b":1e400,"c":12345678901234567890,"d":-0,"e":0.10,"f":1E+2}` + "\n"},
		{"escapes", `{"documents":[{"a":"\u00e9 é \/ \ud83d\ude00 \ud800 <&> \u2028 ` + "\u2028" + `"}]}`,
			act + `{"a":"\u00e9 é \/ \ud83d\ude00 \ud800 <&> \u2028 ` + "\u2028" + `"}` + "\n"},
		{"key order and equal keys", `{"documents":[{"z":1,"a":2,"z":3,"":4}]}`, act + `{"z":1,"a":2,"z":3,"":4}` + "\n"},
		{"pretty-printed", "{\"documents\":[{\r\n\t\"a\": [\n\t\t1,\n\t\t2\n\t],\n\t\"b\": \"c  \\n d\"\n}]}",
			act + "{  \t\"a\": [ \t\t1, \t\t2 \t], \t\"b\": \"c  \\n d\" }\n"},
		{"document as a string", `{"documents":["{\"a\": 1.0,\n\"b\":\"\\u00e9\"}"]}`, act + `{"a": 1.0, "b":"\u00e9"}` + "\n"},
		{"documents as a string", `{"documents":"[{\"a\":1.0}, {\"b\":2}]"}`, act + `{"a":1.0}` + "\n" + act + `{"b":2}` + "\n"},
		{"a document that looks like an action", `{"documents":[{"delete":{"_index":"x","_id":"1"}}]}`,
			act + `{"delete":{"_index":"x","_id":"1"}}` + "\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e, cluster := setup(t)
			if _, err := e.Execute(t.Context(), newJob(t, `{"index":"any"}`, test.params)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(cluster.Received()[0].Body)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExecuteWithoutDocumentsAnswersAsTheClusterDoes(t *testing.T) {
	t.Parallel()
	e, _ := setup(t)
	_, err := e.Execute(t.Context(), into(t, "any", ""))
	want := &wire.Failure{
		Message:        "error indexing documents",
		ServiceMessage: "parse_exception\n\tRoot causes:\n\t\tparse_exception: request body is required",
		Source:         wire.User,
	}
	if diff := cmp.Diff(want, failure(t, err), comparable); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
}

func TestExecuteWithoutClusterNamesTheSetting(t *testing.T) {
	t.Parallel()
	e := newExecutor(t, Config{})
	_, err := e.Execute(t.Context(), into(t, "any", `{}`))
	want := &wire.Failure{
		Message:        "error indexing documents",
		ServiceMessage: "no Elasticsearch cluster is configured: set PATCHBAY_ELASTICSEARCH_URL for the worker",
		Retry:          wire.RetryLater(), // another worker may have one
		Source:         wire.Framework,
	}
	if diff := cmp.Diff(want, failure(t, err), comparable); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
}

func TestResponseLimitIsExact(t *testing.T) {
	t.Parallel()
	// A new cluster numbers its documents anew, so every answer has the same length.
	execute := func(limit int, index, document string) (string, error) {
		e, _ := setup(t)
		e.maxResponse = int64(limit)
		data, err := e.Execute(t.Context(), into(t, index, document))
		return string(data), err
	}
	whole, err := execute(maxResponse, "any", `{}`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := execute(len(whole), "any", `{}`); err != nil || got != whole {
		t.Errorf("at the limit: %s, %v, want %s", got, err, whole)
	}
	if got, err := execute(len(whole)-1, "any", `{}`); err != nil || got != `{"errors":false,"took":3,"items":[]}` {
		t.Errorf("one byte over: %s, %v, want no items", got, err)
	}
	_, err = execute(len(whole)-1, "any", `{},{}`)
	if err != nil {
		t.Errorf("far over: %v", err)
	}
	_, err = execute(100, "per-item", `{"status":400}`)
	want := &wire.Failure{
		Message: "error indexing documents",
		ServiceMessage: "some documents were not written: " +
			"the cluster's answer is larger than 100 bytes (PATCHBAY_MAX_RESPONSE)",
		Source: wire.User,
	}
	if diff := cmp.Diff(want, failure(t, err), comparable); diff != "" {
		t.Errorf("a failed item over the limit (-want +got):\n%s", diff)
	}
	for index, want := range map[string]*wire.Failure{
		"status-401": {ServiceMessage: "401: the cluster's answer is larger than 10 bytes (PATCHBAY_MAX_RESPONSE)"},
		"status-502": {ServiceMessage: "the outcome is unknown, the documents may have been written: " +
			"502: the cluster's answer is larger than 10 bytes (PATCHBAY_MAX_RESPONSE)", Retry: wire.RetryNever(), Unknown: true},
		"status-503": {ServiceMessage: "503: the cluster's answer is larger than 10 bytes (PATCHBAY_MAX_RESPONSE)", Retry: wire.RetryLater()},
	} {
		_, err := execute(10, index, `{}`)
		if diff := cmp.Diff(ours(want), failure(t, err), comparable); diff != "" {
			t.Errorf("%s over the limit (-want +got):\n%s", index, diff)
		}
	}
}

func TestContextThatEndedSendsNothing(t *testing.T) {
	t.Parallel()
	e, cluster := setup(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the caller went away"))
	_, err := e.Execute(ctx, into(t, "any", `{}`))
	want := &wire.Failure{
		Message: "error indexing documents", ServiceMessage: "the caller went away",
		Retry: wire.RetryLater(), Source: wire.User,
	}
	if diff := cmp.Diff(want, failure(t, err), comparable); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
	if got := cluster.Requests(); got != 0 {
		t.Errorf("%d requests arrived", got)
	}
}

func response(status int, header http.Header) *esapi.Response {
	return &esapi.Response{StatusCode: status, Header: header}
}
