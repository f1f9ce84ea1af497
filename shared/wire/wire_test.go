package wire_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"patchbay.dev/shared/wire"
)

func TestSubjectTakesOneTokenOnly(t *testing.T) {
	t.Parallel()
	for id, token := range map[string]string{
		".server-log":    "server-log",
		".index":         "index",
		".cases-webhook": "cases-webhook",
		".a_1":           "a_1",
		".0":             "0",
		".-":             "-",
		"test":           "test", // Kibana has types without a dot
	} {
		for verb, subject := range verbs {
			want := "patchbay.v1." + verb + "." + token
			if got, err := subject(id); err != nil || got != want {
				t.Errorf("%s subject of %q = %q, %v, want %q", verb, id, got, err, want)
			}
		}
	}
}

func TestSubjectRefusesWhatWouldMeanSomethingElse(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]string{
		"nothing":             "",
		"a dot alone":         ".",
		"an empty token":      "..index",
		"two tokens":          ".a.b",
		"a token that ends":   ".index.",
		"upper case":          ".Index",
		"a wildcard":          "*",
		"a wildcard inside":   ".in*ex",
		"a wildcard for all":  ".>",
		"a space":             ".server log",
		"a space at the end":  ".index ",
		"a line break":        ".index\r\n",
		"a tab":               ".\tindex",
		"a NUL":               ".index\x00",
		"a slash":             ".a/b",
		"a letter not ASCII":  ".größe",
		"a Kelvin sign":       ".\u212a",
		"bytes that are none": ".\xff",
		"a system subject":    "$SYS",
	} {
		for verb, subject := range verbs {
			if got, err := subject(id); err == nil || got != "" {
				t.Errorf("%s: %s subject of %q = %q, %v, want an error", name, verb, id, got, err)
			}
		}
	}
}

var verbs = map[string]func(string) (string, error){
	"execute": wire.Subject,
	"cancel":  wire.CancelSubject,
	"reseal":  wire.ResealSubject,
}

func TestSubjectErrorNamesTheType(t *testing.T) {
	t.Parallel()
	_, err := wire.Subject(".a b")
	if got, want := err.Error(), `connector type ".a b" cannot stand in a subject`; got != want {
		t.Errorf("error = %s, want %s", got, want)
	}
}

func TestMillisRoundsDown(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0:                                    "0",
		time.Nanosecond:                      "0",
		time.Millisecond - time.Nanosecond:   "0",
		time.Millisecond:                     "1",
		2*time.Millisecond - time.Nanosecond: "1",
		time.Minute:                          "60000",
		math.MaxInt64:                        "9223372036854",
		-time.Nanosecond:                     "0",
		-time.Second:                         "-1000",
	} {
		got, err := json.Marshal(wire.Millis(d))
		if err != nil || string(got) != want {
			t.Errorf("Millis(%v) = %s, %v, want %s", d, got, err, want)
		}
	}
}

func TestMillisReadsWholeNumbersOnly(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]time.Duration{`0`: 0, `1`: time.Millisecond, `60000`: time.Minute, `-5`: -5 * time.Millisecond} {
		var got wire.Millis
		if err := json.Unmarshal([]byte(data), &got); err != nil || time.Duration(got) != want {
			t.Errorf("Millis of %s = %v, %v, want %v", data, time.Duration(got), err, want)
		}
	}
	for _, data := range []string{`1.5`, `1e3`, `"1"`, `"1s"`, `true`, `{}`, `9223372036854775808`, `9223372036855`, `-9223372036855`} {
		var got wire.Millis
		if err := json.Unmarshal([]byte(data), &got); err == nil {
			t.Errorf("Millis of %s = %v, want an error", data, time.Duration(got))
		}
	}
}

func TestOutcomeIsOneWord(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		reply wire.Reply
		want  wire.Outcome
	}{
		{wire.Reply{}, "ok"},
		{wire.Reply{Data: json.RawMessage(`{}`)}, "ok"},
		{wire.Reply{Failure: &wire.Failure{}}, "error"},
		{wire.Reply{Failure: &wire.Failure{Unknown: true}}, "unknown"},
	} {
		if got := tt.reply.Outcome(); got != tt.want {
			t.Errorf("outcome of %+v = %s, want %s", tt.reply, got, tt.want)
		}
	}
}

// NATS headers are case-sensitive, and the signals are part of the protocol.
func TestSignalsAreFrozen(t *testing.T) {
	t.Parallel()
	got := [...]string{wire.QueueGroup, wire.SignalHeader, wire.Busy, wire.Probe, wire.Running, wire.InboxPrefix}
	want := [...]string{"workers", "patchbay-signal", "busy", "probe", "running", "_INBOX_api"}
	if got != want {
		t.Errorf("signals = %v, want %v", got, want)
	}
}

func TestEncodeLeavesRawPartsAlone(t *testing.T) {
	t.Parallel()
	const raw = `{"a":"<&>","b":"\u003c","c":"` + "\u2028" + `","d":1.0e400}`
	got, err := wire.Encode(wire.Reply{Data: json.RawMessage(raw)})
	if want := `{"data":` + raw + `}`; err != nil || string(got) != want {
		t.Errorf("Encode = %v\n got %s\nwant %s", err, got, want)
	}
}

func TestEncodeRefusesRawPartsThatAreNoJSON(t *testing.T) {
	t.Parallel()
	if got, err := wire.Encode(wire.Reply{Data: json.RawMessage(`{"a":`)}); err == nil {
		t.Errorf("Encode = %s, want an error", got)
	}
}
