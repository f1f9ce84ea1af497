package wire_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"patchbay.dev/shared/wire"
)

func TestWhatIsFramedIsReadAsByEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 1023, 1024, 1025, 70_000} {
		raw := json.RawMessage(strings.Repeat("7", size))
		request := framedRequest
		request.Params = raw
		data := request.Append(nil)
		if framed := strings.HasPrefix(string(data), `{"raw_bytes":`); framed != (size >= 1024) {
			t.Errorf("params of %d bytes are framed: %t", size, framed)
		}
		var slow wire.Request
		if err := json.Unmarshal(data, &slow); err != nil || !reflect.DeepEqual(slow, request) {
			t.Errorf("params of %d bytes, encoding/json: %v\n got %+v", size, err, slow)
		}
		if fast, err := wire.DecodeRequest(data); err != nil || !reflect.DeepEqual(fast, request) {
			t.Errorf("params of %d bytes: %v\n got %+v", size, err, fast)
		}
		reply := wire.Reply{Data: raw}
		for _, worker := range []string{"", "worker-1"} { // without it nothing stands before the data
			reply.Worker = worker
			data, err := reply.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			if framed := strings.HasPrefix(string(data), `{"raw_bytes":`); framed != (size >= 1024) {
				t.Errorf("data of %d bytes are framed: %t", size, framed)
			}
			var slow wire.Reply
			if err := json.Unmarshal(data, &slow); err != nil || !reflect.DeepEqual(slow, reply) {
				t.Errorf("data of %d bytes, encoding/json: %v\n got %+v", size, err, slow)
			}
			if fast, err := wire.DecodeReply(data); err != nil || !reflect.DeepEqual(fast, reply) {
				t.Errorf("data of %d bytes: %v\n got %+v", size, err, fast)
			}
		}
	}
}

// Members that look like a frame and are none are members like any others, and all
// of the message is looked at.
func TestFrameThatDoesNotFitIsNone(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`{"raw_bytes":3,"params":{}}`, `{"raw_bytes":1,"params":{}}`, `{"raw_bytes":0,"params":{}}`, `{"raw_bytes":-2,"params":{}}`, `{"raw_bytes":"2","params":{}}`,
		`{"raw_bytes":2,"params":{},"space":"a"}`, `{"raw_bytes":2,"params": {}}`, `{"raw_bytes":2,"params":{} }`, ` {"raw_bytes":2,"params":{}}`,
		`{"raw_bytes":99999999999999999999,"params":{}}`, `{"raw_bytes":9223372036854775807,"params":{}}`, `{"params":{},"raw_bytes":2}`,
	} {
		var want wire.Request
		if err := json.Unmarshal([]byte(data), &want); err != nil {
			t.Fatal(err)
		}
		if got, err := wire.DecodeRequest([]byte(data)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", data, err, got, want)
		}
		broken := strings.Replace(data, "{}", "{]", 1)
		if got, err := wire.DecodeRequest([]byte(broken)); err == nil {
			t.Errorf("%s: %+v, want an error", broken, got)
		}
	}
	for _, data := range []string{`{"raw_bytes":`, `{"raw_bytes":2`, `{"raw_bytes":2,`, `{"raw_bytes":2,"data":{}`, `{"raw_bytes":2,"data":{}]`, `{"raw_bytes":2,"x,"data":{}}`} {
		if got, err := wire.DecodeReply([]byte(data)); err == nil {
			t.Errorf("%s: %+v, want an error", data, got)
		}
	}
}

func BenchmarkLargeReply(b *testing.B) {
	reply := wire.Reply{Data: json.RawMessage(`{"items":[` + strings.TrimSuffix(strings.Repeat(`{"create":{"_index":"bench","status":201}},`, 256), ",") + `]}`), Worker: "worker-1", RunMicros: 1}
	framed, err := reply.Append(nil)
	if err != nil {
		b.Fatal(err)
	}
	whole, err := wire.Encode(reply)
	if err != nil {
		b.Fatal(err)
	}
	for name, data := range map[string][]byte{"framed": framed, "not framed": whole} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := wire.DecodeReply(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
