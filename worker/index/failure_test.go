package index

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
)

const (
	unknownPrefix = "the outcome is unknown, the documents may have been written: "

	parseError = "[1:11] failed to parse field [n] of type [long] in document with id 'not-written-%08d'. Preview of field's value: 'abc'"
	conflict   = "[not-written-%08d]: version conflict, document already exists (current version [1])"
	rejection  = "rejected execution of coordinating operation [coordinating_and_primary_bytes=107374182, replica_bytes=0, " +
		"all_bytes=107374182, coordinating_operation_bytes=128, max_coordinating_and_primary_bytes=107374182]"
	notActive = "[per-item][0] primary shard is not active Timeout: [1m], request: [BulkShardRequest [[per-item][0]] " +
		"containing [index {[per-item][not-written-%08d], source[_na_]}]]"
	noMaster = "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];[SERVICE_UNAVAILABLE/2/no master];"
)

// ours returns f with what every failure of the executor has in common.
func ours(f *wire.Failure) *wire.Failure {
	whole := *f
	whole.Message, whole.Source = "error indexing documents", wire.User
	return &whole
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	in5 := wire.RetryAt(clock.Add(5 * time.Second))
	root := func(kind, reason string) string { return kind + "\n\tRoot causes:\n\t\t" + kind + ": " + reason }
	proxy := func(title string) string {
		return "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title +
			"</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>"
	}
	tests := []struct {
		index, documents string
		want             *wire.Failure // nil for success
		stored           int
	}{
		{"status-401", `{}`, &wire.Failure{ServiceMessage: root("security_exception",
			"unable to authenticate user [patchbay] for REST request [/status-401/_bulk?refresh=false]")}, 0},
		{"status-403", `{}`, &wire.Failure{ServiceMessage: root("security_exception",
			"action [indices:data/write/bulk] is unauthorized for user [patchbay] with effective roles [viewer], "+
				"this action is granted by the index privileges [create_doc,create,index,write,all]")}, 0},
		{"status-413", `{}`, &wire.Failure{ServiceMessage: "413 Request Entity Too Large"}, 0},
		{"status-429", `{}`, &wire.Failure{ServiceMessage: root("es_rejected_execution_exception", rejection), Retry: wire.RetryLater()}, 0},
		{"status-429-in-5", `{}`, &wire.Failure{ServiceMessage: root("es_rejected_execution_exception", rejection), Retry: in5}, 0},
		{"status-500", `{}`, &wire.Failure{ServiceMessage: root("illegal_state_exception",
			"There are no ingest nodes in this cluster, unable to forward request to an ingest node.")}, 0},
		{"status-502", `{}`, &wire.Failure{ServiceMessage: unknownPrefix + proxy("502 Bad Gateway"), Retry: wire.RetryNever(), Unknown: true}, 0},
		{"status-503", `{}`, &wire.Failure{ServiceMessage: root("cluster_block_exception", noMaster), Retry: wire.RetryLater()}, 0},
		{"status-503-in-5", `{}`, &wire.Failure{ServiceMessage: root("cluster_block_exception", noMaster), Retry: in5}, 0},
		{"status-504", `{}`, &wire.Failure{ServiceMessage: unknownPrefix + proxy("504 Gateway Timeout"), Retry: wire.RetryNever(), Unknown: true}, 0},

		{"per-item", `{},{"status":201}`, nil, 2},
		{"per-item", `{"status":400}`, &wire.Failure{ServiceMessage: fmt.Sprintf(parseError, 0) + ` (For input string: "abc")`}, 0},
		{"per-item", `{"status":409}`, &wire.Failure{ServiceMessage: fmt.Sprintf(conflict, 0)}, 0},
		{"per-item", `{},{"status":409},{"status":400},{"status":400}`, &wire.Failure{ServiceMessage: fmt.Sprintf(conflict, 1) + ";" +
			fmt.Sprintf(parseError, 2) + ";" + fmt.Sprintf(parseError, 3) + ` (For input string: "abc";For input string: "abc")`}, 1},
		{"per-item", `{"status":429},{"status":503}`, &wire.Failure{ServiceMessage: rejection + ";" + fmt.Sprintf(notActive, 1), Retry: wire.RetryLater()}, 0},
		// Run again, the first document would be written twice, or the second refused twice.
		{"per-item", `{},{"status":429}`, &wire.Failure{ServiceMessage: rejection}, 1},
		{"per-item", `{"status":429},{"status":400}`, &wire.Failure{
			ServiceMessage: rejection + ";" + fmt.Sprintf(parseError, 1) + ` (For input string: "abc")`}, 0},

		{"no-reason", `{},{}`, &wire.Failure{ServiceMessage: "Indexing error but no reason returned."}, 0},
		{"errors-no-items", `{}`, &wire.Failure{ServiceMessage: "Indexing error but no reason returned."}, 0},
		{"wrong-count", `{},{}`, &wire.Failure{ServiceMessage: unknownPrefix + "the cluster answered for 1 documents, 2 were sent",
			Retry: wire.RetryNever(), Unknown: true}, 2},
		{"large", `{},{}`, nil, 2},
		{"large-late", `{}`, &wire.Failure{ServiceMessage: unknownPrefix +
			"the cluster's answer is larger than 1048576 bytes (PATCHBAY_MAX_RESPONSE)", Retry: wire.RetryNever(), Unknown: true}, 1},
		{"html", `{}`, &wire.Failure{ServiceMessage: unknownPrefix +
			"the cluster's answer is not that of a _bulk request: invalid character '<' looking for beginning of value (byte 1)",
			Retry: wire.RetryNever(), Unknown: true}, 0},
		{"not-elastic", `{}`, &wire.Failure{ServiceMessage: unknownPrefix +
			"the client noticed that the server is not Elasticsearch and we do not support this unknown product",
			Retry: wire.RetryNever(), Unknown: true}, 0},
	}
	for _, test := range tests {
		t.Run(test.index+test.documents, func(t *testing.T) {
			t.Parallel()
			e, cluster := setup(t)
			data, err := e.Execute(t.Context(), into(t, test.index, test.documents))
			if test.want == nil {
				if err != nil || len(data) == 0 {
					t.Errorf("answered %s, %v", data, err)
				}
			} else {
				if diff := cmp.Diff(ours(test.want), failure(t, err), comparable); diff != "" {
					t.Errorf("failure (-want +got):\n%s", diff)
				}
			}
			if got := cluster.Requests(); got != 1 {
				t.Errorf("%d requests, want 1", got)
			}
			if got := len(cluster.Documents(test.index)); got != test.stored {
				t.Errorf("%d documents were written, want %d", got, test.stored)
			}
		})
	}
}

func TestOddItems(t *testing.T) {
	t.Parallel()
	odd := &wire.Failure{ServiceMessage: unknownPrefix + "the cluster's answer does not tell how each document fared", Retry: wire.RetryNever(), Unknown: true}
	notBulk := func(why string) *wire.Failure {
		return &wire.Failure{ServiceMessage: unknownPrefix + "the cluster's answer is not that of a _bulk request" + why, Retry: wire.RetryNever(), Unknown: true}
	}
	const ok = `{"create":{"status":201}}`
	const rejected = `{"create":{"status":429}}`
	tests := []struct {
		answer string // to two documents
		want   *wire.Failure
	}{
		{`{"errors":false,"items":[` + ok + `,` + ok + `]}`, nil},
		{`{"items":[` + ok + `,{"index":{"status":200}}],"errors":false}`, nil},
		{"\n" + `{"errors" : false, "items":[` + ok + `,` + ok + `], "more":{"deep":[{}]}}` + "\n", nil},
		// The status counts, whatever errors and error say.
		{`{"errors":false,"items":[` + ok + `,{"create":{"status":400,"error":{"reason":"no"}}}]}`, &wire.Failure{ServiceMessage: "no"}},
		{`{"errors":false,"items":[` + ok + `,{"create":{"status":400}}]}`, &wire.Failure{ServiceMessage: "Indexing error but no reason returned."}},
		{`{"errors":false,"items":[` + ok + `,{"create":{"status":302}}]}`, &wire.Failure{ServiceMessage: "Indexing error but no reason returned."}},
		{`{"errors":true,"items":[` + ok + `,` + ok + `]}`, &wire.Failure{ServiceMessage: "Indexing error but no reason returned."}},
		{`{"errors":true,"items":[` + rejected + `,` + rejected + `]}`,
			&wire.Failure{ServiceMessage: "Indexing error but no reason returned.", Retry: wire.RetryLater()}},
		{`{"errors":true,"items":[` + rejected + `,` + rejected + `,` + ok + `]}`,
			&wire.Failure{ServiceMessage: "Indexing error but no reason returned."}},
		{`{"errors":true,"items":[` + rejected + `]}`, &wire.Failure{ServiceMessage: "Indexing error but no reason returned."}},

		{`{"errors":false,"items":[` + ok + `,{}]}`, odd},
		{`{"errors":false,"items":[` + ok + `,null]}`, odd},
		{`{"errors":true,"items":[null,null]}`, odd},
		{`{"errors":false,"items":[` + ok + `,{"create":null}]}`, odd},
		{`{"errors":false,"items":[` + ok + `,{"create":{}}]}`, odd},
		{`{"errors":false,"items":[` + ok + `,{"create":{"status":0}}]}`, odd},
		{`{"errors":false,"items":[` + ok + `,{"create":{"status":-201}}]}`, odd},
		{`{"errors":false,"items":[` + ok + `,{"create":{"status":99999}}]}`, odd},
		{`{"errors":false,"items":[` + ok + `,{"create":{"status":201},"index":{"status":201}}]}`, odd},

		{`{"errors":false,"items":[]}`, &wire.Failure{ServiceMessage: unknownPrefix + "the cluster answered for 0 documents, 2 were sent",
			Retry: wire.RetryNever(), Unknown: true}},
		{`{"errors":false}`, &wire.Failure{ServiceMessage: unknownPrefix + "the cluster answered for 0 documents, 2 were sent",
			Retry: wire.RetryNever(), Unknown: true}},
		{`{"errors":false,"items":[` + ok + `,` + ok + `,` + ok + `]}`, &wire.Failure{
			ServiceMessage: unknownPrefix + "the cluster answered for 3 documents, 2 were sent", Retry: wire.RetryNever(), Unknown: true}},
		{`{}`, notBulk("")},
		{`null`, notBulk("")},
		{`{"errors":null,"items":[` + ok + `,` + ok + `]}`, notBulk("")},
		{``, notBulk(": unexpected end of JSON input (byte 0)")},
		{`{"errors":false,"items":[` + ok + `,` + ok + `]`, notBulk(": unexpected end of JSON input (byte 77)")},
		{`{"errors":false,"items":[` + ok + `,` + ok + `]}{}`, notBulk(": invalid character '{' after top-level value (byte 79)")},
		{`{"errors":false,"items":[` + ok + `,{"create":{"status":201,"error":` + strings.Repeat(`{"caused_by":`, 60) + `{}` + strings.Repeat(`}`, 60) + `}}]}`,
			notBulk(": nested deeper than 64 levels (byte 863)")},
		{`{"errors":false,"items":[` + ok + `,{"create":{"status":201,"_id":"` + "\xff" + `"}}]}`, notBulk(": not valid UTF-8")},
		{`[]`, notBulk(": json: cannot unmarshal array into Go value of type index.bulkAnswer")},

		// An error in another shape is still its reason.
		{`{"errors":true,"items":[` + ok + `,{"create":{"status":400,"error":"MapperParsingException[no]"}}]}`,
			&wire.Failure{ServiceMessage: "MapperParsingException[no]"}},
		{`{"errors":true,"items":[` + ok + `,{"create":{"status":400,"error":{"reason":"no","caused_by":"a \"b\""}}}]}`,
			&wire.Failure{ServiceMessage: `no (a "b")`}},
		{`{"errors":true,"items":[` + ok + `,{"create":{"status":400,"error":{"reason":{"en":"no"}}}}]}`,
			&wire.Failure{ServiceMessage: `{"reason":{"en":"no"}}`}},
		{`{"errors":true,"items":[` + ok + `,{"create":{"status":400,"error":[]}}]}`, &wire.Failure{ServiceMessage: `[]`}},
		{`{"errors":true,"items":[` + ok + `,{"create":{"status":400,"error":null}}]}`,
			&wire.Failure{ServiceMessage: "Indexing error but no reason returned."}},
		{`{"errors":true,"items":[` + ok + `,{"create":{"status":400,"error":{"reason":null,"caused_by":{"reason":"why"}}}}]}`,
			&wire.Failure{ServiceMessage: "(why)"}},
	}
	for _, test := range tests {
		t.Run(test.answer, func(t *testing.T) {
			t.Parallel()
			err := checkItems([]byte(test.answer), 2)
			if test.want == nil {
				if err != nil {
					t.Errorf("error %v, want success", err)
				}
				return
			}
			if err == nil {
				t.Fatalf("success, want %v", test.want)
			}
			if diff := cmp.Diff(ours(test.want), failure(t, err), comparable); diff != "" {
				t.Errorf("failure (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrorWithoutDocumentsIsNoRejection(t *testing.T) {
	t.Parallel()
	want := &wire.Failure{Message: "error indexing documents", ServiceMessage: "Indexing error but no reason returned.", Source: wire.User}
	if diff := cmp.Diff(want, failure(t, checkItems([]byte(`{"errors":true,"items":[]}`), 0)), comparable); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	tests := []struct{ body, want string }{
		{``, ""},
		{"\n", ""},
		{`plain`, "plain"},
		{`{"message":"no route"}`, `{"message":"no route"}`},
		{`{"error":"no handler found for uri [/x] and method [POST]"}`, `{"error":"no handler found for uri [/x] and method [POST]"}`},
		{`{"error":{"reason":"r"}}`, `{"error":{"reason":"r"}}`},
		{`{"error":{"type":5}}`, `{"error":{"type":5}}`},
		{`{"error":null}`, `{"error":null}`},
		{`null`, `null`},
		{`{"error":{"type":"t","reason":"r"}}`, "t"},
		{`{"error":{"type":"t","reason":"r","caused_by":{"type":"c","reason":"cr"},"root_cause":[{"type":"a","reason":"ar"},{"type":"b","reason":"br"}]}}`,
			"t\n\tCaused by:\n\t\tc: cr\n\tRoot causes:\n\t\ta: ar\n\t\tb: br"},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, errorText([]byte(test.body))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.body, diff)
		}
	}
}

func TestBeginningOfALargeAnswerMustSayThatAllWentWell(t *testing.T) {
	t.Parallel()
	rest := strings.Repeat(" ", maxResponse) + `]}`
	tests := []struct{ beginning, want string }{
		{`{"errors":false,"took":3,"items":[`, `{"errors":false,"took":3,"items":[]}`},
		{`{"took":3,"ingest_took":1,"errors":false,"items":[`, `{"took":3,"ingest_took":1,"errors":false,"items":[]}`},
		{`{ "errors" : false , "took": 3, "items" : [`, `{ "errors" : false , "took": 3, "items":[]}`},
		{`{"took":3,"items":[`, ""},
		{`{"x":"\"errors\":false","items":[`, ""},
		{`{"x":{"errors":false},"items":[`, ""},
		{`{"errors":true,"x":{"errors":false},"items":[`, ""},
		{`["errors":false,"items":[`, ""},
		{"{\"errors\":false,\"note\":\"\xff\",\"items\":[", ""},
		{"{\"errors\":false,\"\xff\":1,\"items\":[", ""},
	}
	e := newExecutor(t, Config{})
	for _, test := range tests {
		got, err := e.tooLarge(&esapi.Response{StatusCode: http.StatusOK}, []byte(test.beginning+rest))
		if string(got) != test.want {
			t.Errorf("%s: %s, want %s", test.beginning, got, test.want)
		}
		if test.want == "" && !failure(t, err).Unknown {
			t.Errorf("%s: %v, want unknown", test.beginning, err)
		}
	}
	_, err := e.tooLarge(&esapi.Response{StatusCode: http.StatusOK}, []byte(`{"errors":true,"took":3,"items":[`+rest))
	if got := failure(t, err); got.Unknown || !strings.HasPrefix(got.ServiceMessage, "some documents were not written: ") {
		t.Errorf("an answer that begins with failures: %+v, want them told", got)
	}
}

// A status of 5xx is certain only from Elasticsearch itself: what stands before
// it may have passed the documents on.
func TestErrorOfSomethingBeforeTheClusterIsUnknown(t *testing.T) {
	t.Parallel()
	own := http.Header{"X-Elastic-Product": {"Elasticsearch"}}
	for _, test := range []struct {
		status  int
		header  http.Header
		unknown bool
	}{
		{500, own, false}, {503, own, false}, {408, own, false},
		{500, nil, true}, {502, nil, true}, {503, nil, true}, {504, nil, true}, {520, nil, true}, {524, nil, true},
		{408, nil, true}, {499, nil, true},
		{400, nil, false}, {401, nil, false}, {403, nil, false}, {404, nil, false}, {413, nil, false}, {429, nil, false},
	} {
		if got := refusedByCluster(test.status, test.header, nil, clock); got.Unknown != test.unknown {
			t.Errorf("%d with %v: %+v, want unknown %t", test.status, test.header, got, test.unknown)
		}
	}
}
