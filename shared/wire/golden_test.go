package wire_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"patchbay.dev/shared/wire"
)

// An api and a worker of different builds talk to each other while one of them
// is replaced: a golden file changes only together with the protocol's version.
var update = flag.Bool("update", false, "write the golden files anew")

var instant = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

var requests = map[string]wire.Request{
	"request_full": {
		ExecutionID: "0197c5b8-7a3e-7c11-9d5e-2f6f8f0a1b2c",
		Given:       true,
		Space:       "operations",
		Connector: wire.Connector{
			ID:      "c55b6eb0-6bad-11eb-9f3b-611eebc6c3ad",
			Type:    ".index",
			Name:    `<Alerts> & "Ünïcode" 😀`,
			Version: 3,
			Config:  json.RawMessage(`{"index":"alerts","refresh":true,"executionTimeField":null}`),
			Secrets: []byte{0x00, 0xff, 0xfe, 'a'},

			Preconfigured: true,
		},
		TimeLeft: wire.Millis(59_750 * time.Millisecond),
		Params:   json.RawMessage(`{"documents":[{"z":1.0e400,"a":-0,"big":12345678901234567890123,"html":"<b>&\u003c","a":"\u0041\/\ud83d\ude00"}]}`),
	},
	"request_minimal": {
		ExecutionID: "e1",
		Space:       "default",
		Connector: wire.Connector{
			ID:     "log",
			Type:   ".server-log",
			Name:   "log",
			Config: json.RawMessage(`{}`),
		},
		Params: json.RawMessage(`{"message":""}`),
	},
	"request_limited": {
		ExecutionID: "e2",
		Space:       "default",
		Connector: wire.Connector{
			ID:     "alerts",
			Type:   ".index",
			Name:   "alerts",
			Config: json.RawMessage(`{"index":"alerts"}`),
		},
		Params: json.RawMessage(`{"documents":[{}]}`),
		Access: &wire.Access{Key: "k1", Indices: []string{"alerts-*", "kibana-alert-history-?"}},
	},
	"request_limited_to_nothing": {
		ExecutionID: "e3",
		Space:       "default",
		Connector: wire.Connector{
			ID:     "alerts",
			Type:   ".index",
			Name:   "alerts",
			Config: json.RawMessage(`{"index":"alerts"}`),
		},
		Params: json.RawMessage(`{"documents":[{}]}`),
		Access: &wire.Access{Key: "k1", Indices: []string{}},
	},
	"request_recorded": {
		ExecutionID: "e4",
		Given:       true,
		Attempt:     2,
		Space:       "default",
		Connector: wire.Connector{
			ID:     "log",
			Type:   ".server-log",
			Name:   "log",
			Config: json.RawMessage(`{}`),
		},
		Params: json.RawMessage(`{"message":""}`),
	},
	"request_sealed": {
		ExecutionID: "e5",
		Given:       true,
		Attempt:     4,
		Space:       "default",
		Connector: wire.Connector{
			ID:     "alerts",
			Type:   ".index",
			Name:   "alerts",
			Config: json.RawMessage(`{"index":"alerts"}`),
		},
		SealedParams: []byte{0x01, 0xff, 0xfe, 'a'},
		Access:       &wire.Access{Key: "k1", Indices: []string{"alerts"}},
	},
}

var replies = map[string]wire.Reply{
	"reply_ok":           {},
	"reply_ok_data":      {Data: json.RawMessage(`{"took":7,"errors":false,"items":[{"create":{"_id":"<1>","status":201}}],"n":1.0}`)},
	"reply_ok_data_null": {Data: json.RawMessage(`null`)},
	"reply_error": {Failure: &wire.Failure{
		Message: "error indexing documents",
		Source:  wire.User,
	}},
	"reply_error_retry_never": {Failure: &wire.Failure{
		Message: "error validating action params: [message]: expected value of type [string] but got [undefined]",
		Retry:   wire.RetryNever(),
		Source:  wire.User,
	}},
	"reply_error_retry_later": {Failure: &wire.Failure{
		Message:        "an error occurred while running the action",
		ServiceMessage: "dial tcp: <nil> & \"refused\"\n\tCaused by:\n\t\tü",
		Retry:          wire.RetryLater(),
		Source:         wire.Framework,
	}},
	"reply_error_retry_at": {Failure: &wire.Failure{
		Message:        "error indexing documents",
		ServiceMessage: "es_rejected_execution_exception",
		Retry:          wire.RetryAt(instant),
		Source:         wire.User,
	}},
	"reply_unknown": {Failure: &wire.Failure{
		Message:        "an error occurred while running the action",
		ServiceMessage: "the outcome is unknown",
		Retry:          wire.RetryNever(),
		Source:         wire.Framework,
		Unknown:        true,
	}},
	"reply_ok_timed":      {Worker: `<worker>-"1"`, RunMicros: 1234567},
	"reply_ok_data_timed": {Data: json.RawMessage(`{"took":7}`), Worker: "worker-1", RunMicros: 1},
	"reply_error_timed":   {Failure: &wire.Failure{Message: "error indexing documents", Source: wire.User}, Worker: "worker-1", RunMicros: 60_000_000},
	"reply_ok_untimed":    {Worker: "worker-1"},
	"reply_ok_nameless":   {RunMicros: 12},
}

func TestRequestBytesAreFrozen(t *testing.T) {
	t.Parallel()
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			freeze(t, name, request)
		})
	}
}

func TestReplyBytesAreFrozen(t *testing.T) {
	t.Parallel()
	for name, reply := range replies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			freeze(t, name, reply)
		})
	}
}

// Large raw parts are framed by Append alone.
var framedRequest, framedReply = func() (wire.Request, wire.Reply) {
	request, reply := requests["request_full"], replies["reply_ok_data_timed"]
	request.Access = requests["request_limited"].Access
	request.Params = json.RawMessage(`{"documents":["` + strings.Repeat("d", 1<<10) + `"]}`)
	reply.Data = json.RawMessage(`{"took":7,"items":["` + strings.Repeat("i", 1<<10) + `"]}`)
	return request, reply
}()

func TestFramedBytesAreFrozen(t *testing.T) {
	t.Parallel()
	reply, err := framedReply.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"framed_request": framedRequest.Append(nil), "framed_reply": reply} {
		path := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(path, append(bytes.Clone(got), '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if want = bytes.TrimSuffix(want, []byte("\n")); !bytes.Equal(got, want) {
			t.Errorf("%s\n got %s\nwant %s", name, got, want)
		}
	}
}

// freeze holds what v encodes to against its golden file, and what the golden
// file decodes to against v.
func freeze[T any](t *testing.T, name string, v T) {
	t.Helper()
	encoded, err := wire.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, append(bytes.Clone(encoded), '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden = bytes.TrimSuffix(golden, []byte("\n"))
	if !bytes.Equal(encoded, golden) {
		t.Errorf("encoded\n got %s\nwant %s", encoded, golden)
	}
	var decoded T
	if err := json.Unmarshal(golden, &decoded); err != nil {
		t.Fatalf("decode %s: %v", path, err)
	}
	if !reflect.DeepEqual(decoded, v) {
		t.Errorf("decoded\n got %+v\nwant %+v", decoded, v)
	}
}

func TestNoGoldenFileIsLeftOver(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".json")
		_, isRequest := requests[name]
		_, isReply := replies[name]
		_, isResealRequest := resealRequests[name]
		_, isResealReply := resealReplies[name]
		_, isPause := pauses[name]
		isFramed := name == "framed_request" || name == "framed_reply"
		if !isFramed && !isRequest && !isReply && !isResealRequest && !isResealReply && !isPause {
			t.Errorf("no test reads testdata/%s", f.Name())
		}
	}
}

// A newer side may say more than an older one knows, but for [wire.Access].
func TestUnknownMembersAreIgnored(t *testing.T) {
	t.Parallel()
	var request wire.Request
	if err := json.Unmarshal([]byte(`{"execution_id":"e","colour":2,"connector":{"id":"c","colour":"red"}}`), &request); err != nil {
		t.Error(err)
	}
	if want := (wire.Request{ExecutionID: "e", Connector: wire.Connector{ID: "c"}}); !reflect.DeepEqual(request, want) {
		t.Errorf("decoded\n got %+v\nwant %+v", request, want)
	}
	var reply wire.Reply
	if err := json.Unmarshal([]byte(`{"took_ms":3,"failure":{"message":"m","source":"user","code":1}}`), &reply); err != nil {
		t.Error(err)
	}
	if want := (wire.Reply{Failure: &wire.Failure{Message: "m", Source: wire.User}}); !reflect.DeepEqual(reply, want) {
		t.Errorf("decoded\n got %+v\nwant %+v", reply, want)
	}
}
