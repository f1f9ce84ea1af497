package wire_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"patchbay.dev/shared/schema"
	"patchbay.dev/shared/wire"
)

func TestRequestsByHandAreThoseOfEncode(t *testing.T) {
	t.Parallel()
	for name, r := range requests {
		want, err := wire.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Append(nil); string(got) != string(want) {
			t.Errorf("%s\n got %s\nwant %s", name, got, want)
		}
		var slow wire.Request
		if err := json.Unmarshal(want, &slow); err != nil {
			t.Fatal(err)
		}
		if fast, err := wire.DecodeRequest(want); err != nil || !reflect.DeepEqual(fast, slow) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", name, err, fast, slow)
		}
	}
	for name, r := range replies {
		want, err := wire.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Append(nil)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, want)
		}
		var slow wire.Reply
		if err := json.Unmarshal(want, &slow); err != nil {
			t.Fatal(err)
		}
		if fast, err := wire.DecodeReply(want); err != nil || !reflect.DeepEqual(fast, slow) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", name, err, fast, slow)
		}
	}
}

func TestTextThatNeedsEscapesIsWrittenAsEncodeDoes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "plain", `"`, `\`, "\n", "\x7f", "é", "\u2028", "<&>", "\xff", strings.Repeat("a", 1000)} {
		r := wire.Request{ExecutionID: text, Space: text, Connector: wire.Connector{ID: text, Name: text, Config: json.RawMessage(`{}`)}, Params: json.RawMessage(`{}`)}
		want, err := wire.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Append(nil); string(got) != string(want) {
			t.Errorf("%q\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestRawPartsMayBeSpacedAndDeep(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", schema.MaxDepth-1) + strings.Repeat("]", schema.MaxDepth-1)
	r := wire.Request{Connector: wire.Connector{Config: json.RawMessage("{ \n}")}, Params: json.RawMessage(`{ "a" : ` + deep + " }"), TimeLeft: wire.Millis(time.Second)}
	data := r.Append(nil)
	got, err := wire.DecodeRequest([]byte(" \n" + string(data) + " "))
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, r)
	}
}

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		"", " ", "null", "[]", `"x"`, "{", `{"space":1}`, `{"connector":[]}`, `{"connector":{"version":"1"}}`, `{"connector":{"version":1.5}}`,
		`{"connector":{"secrets":"!"}}`, `{"given":"yes"}`, `{"attempt":"1"}`, `{"attempt":1.5}`, `{"attempt":9223372036854775808}`, `{"sealed_params":"!"}`, `{"time_left_ms":9223372036854775807}`, `{"access":{"key":"k","indices":[],"new":1}}`,
		"{\"space\":\"\xff\"}", `{"params":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`,
	} {
		if got, err := wire.DecodeRequest([]byte(data)); err == nil {
			t.Errorf("%q: %+v, want an error", data, got)
		}
	}
	for _, data := range []string{"", "null", "[]", "{", `{"failure":1}`, `{"worker":1}`, `{"run_us":"1"}`, `{"run_us":0.5}`, "{\"data\":\"\xff\"}"} {
		if got, err := wire.DecodeReply([]byte(data)); err == nil {
			t.Errorf("%q: %+v, want an error", data, got)
		}
	}
}

// Most executions have none of the members that some have, and do not pay for them.
func TestWhatIsAbsentCostsNothing(t *testing.T) { //nolint:paralleltest // others would allocate meanwhile
	r := requests["request_minimal"]
	data, b := r.Append(nil), make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { r.Append(b) }); n != 0 {
		t.Errorf("Append of a request: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = wire.DecodeRequest(data) }); n > 8 {
		t.Errorf("DecodeRequest: %v allocations, want 8", n)
	}
	reply := wire.Reply{Data: []byte(`{}`), Worker: "worker-1", RunMicros: 123}
	if n := testing.AllocsPerRun(100, func() { _, _ = reply.Append(b) }); n != 0 {
		t.Errorf("Append of a reply: %v allocations", n)
	}
	data, _ = reply.Append(nil)
	if n := testing.AllocsPerRun(100, func() { _, _ = wire.DecodeReply(data) }); n > 2 { // the reply and the name
		t.Errorf("DecodeReply: %v allocations, want 2", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	r := requests["request_full"]
	data := r.Append(nil)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Append(make([]byte, 0, 1024))
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := wire.Encode(r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := wire.DecodeRequest(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unmarshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var r wire.Request
			if err := json.Unmarshal(data, &r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
