package wire_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchbay.dev/shared/wire"
)

// FuzzRequest and FuzzReply find that what one side decodes can be sent on, and
// then says the same.

func FuzzRequest(f *testing.F) {
	addGolden(f, "request_*")
	f.Add([]byte(`{"time_left_ms":9223372036854775807}`))
	f.Add([]byte(`{"time_left_ms":-9223372036855}`))
	f.Add([]byte(`{"connector":{"secrets":"AP/+","config":[[]]},"params": 1e400 }`))
	f.Fuzz(func(t *testing.T, data []byte) {
		request, ok := again[wire.Request](t, data)
		if !ok {
			return
		}
		var sent struct {
			TimeLeft json.Number `json:"time_left_ms"`
		}
		left := time.Duration(request.TimeLeft)
		if json.Unmarshal(data, &sent) == nil && strings.HasPrefix(sent.TimeLeft.String(), "-") != (left < 0) && left != 0 {
			t.Errorf("%s ms became %s", sent.TimeLeft, left)
		}
	})
}

func FuzzReply(f *testing.F) {
	addGolden(f, "reply_*")
	f.Add([]byte(`{"failure":{"retry":"9999-12-31T23:59:59.9999-01:00"}}`))
	f.Add([]byte(`{"failure":{"retry":"0000-01-01T00:00:00+01:00"}}`))
	f.Add([]byte(`{"failure":{"retry":"0001-01-01T00:00:00Z","unknown":true,"source":"none"},"data":{"a":1,"a":2}}`))
	f.Add([]byte(`{"failure":{"retry": null},"data": null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		reply, ok := again[wire.Reply](t, data)
		if ok && (reply.Outcome() == wire.OK) != (reply.Failure == nil) {
			t.Errorf("outcome %s of %+v", reply.Outcome(), reply)
		}
	})
}

// FuzzByHand finds that what is read by hand is written by hand as encoding/json
// understands it.
func FuzzByHand(f *testing.F) {
	addGolden(f, "request_*")
	addGolden(f, "reply_*")
	addGolden(f, "framed_*")
	f.Add([]byte(`{"raw_bytes":2,"params":{}}`))
	f.Add([]byte(`{"raw_bytes":1,"worker":"w","data":}}`))
	f.Add([]byte(`{"attempt":-1,"sealed_params":"","params":null,"run_us":-5,"worker":"\u00e9"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		// What is framed is not looked at.
		if r, err := wire.DecodeRequest(data); err == nil && (r.Params == nil || json.Valid(r.Params)) {
			sameForBoth(t, r, r.Append(nil))
		}
		if r, err := wire.DecodeReply(data); err == nil && (r.Data == nil || json.Valid(r.Data)) {
			written, err := r.Append(nil)
			if err != nil {
				t.Fatalf("Append: %v\n%+v", err, r)
			}
			sameForBoth(t, r, written)
		}
	})
}

// sameForBoth holds what encoding/json reads of written against v.
func sameForBoth[T any](t *testing.T, v T, written []byte) {
	t.Helper()
	var read T
	if err := json.Unmarshal(written, &read); err != nil {
		t.Fatalf("%v\n%s", err, written)
	}
	want, err := wire.Encode(v)
	if err != nil {
		t.Fatalf("Encode: %v\n%+v", err, v)
	}
	if got, err := wire.Encode(read); err != nil || string(got) != string(want) {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
}

// FuzzSubject finds that a type is one token of a subject, and no wildcard.
func FuzzSubject(f *testing.F) {
	for _, id := range []string{".index", ".server-log", "", ".", "..a", "a.b", ".*", ".>", ".a b", ".a\r\n", ".é", "A"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		subject, err := wire.Subject(id)
		cancel, cancelErr := wire.CancelSubject(id)
		if (err == nil) != (cancelErr == nil) {
			t.Fatalf("Subject: %v, CancelSubject: %v", err, cancelErr)
		}
		if err != nil {
			return
		}
		for _, s := range []string{subject, cancel} {
			tokens := strings.Split(s, ".")
			if len(tokens) != 4 || tokens[3] == "" || strings.ContainsAny(s, "*> \t\r\n") {
				t.Errorf("subject of %q: %q", id, s)
			}
		}
	})
}

// again decodes data, if it is a T, encodes it and decodes that.
func again[T any](t *testing.T, data []byte) (first T, ok bool) {
	t.Helper()
	if json.Unmarshal(data, &first) != nil {
		return first, false
	}
	encoded, err := wire.Encode(first)
	if err != nil {
		t.Fatalf("Encode: %v\n%+v", err, first)
	}
	var second T
	if err := json.Unmarshal(encoded, &second); err != nil {
		t.Fatalf("decode anew: %v\n%s", err, encoded)
	}
	// Not by the values: raw parts lose white space, and null is no value.
	if third, err := wire.Encode(second); err != nil || string(third) != string(encoded) {
		t.Errorf("encoded anew, %v\n got %s\nwant %s", err, third, encoded)
	}
	return first, true
}

func addGolden(f *testing.F, pattern string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern+".json"))
	if err != nil || len(files) == 0 {
		f.Fatalf("golden files: %q, %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
}
