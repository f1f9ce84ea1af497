package dispatch

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
)

// FuzzAnswer gives a call any message for an answer: that nothing was run is
// believed of two words only, and what cannot be read is an unknown outcome.
func FuzzAnswer(f *testing.F) {
	f.Add("1", "", "", []byte(`{"data":{"a":1}}`))
	f.Add("1", "", "", []byte(`{"failure":{"message":"m","retry":"2026-01-02T03:04:05Z","source":"user"}}`))
	f.Add("1", "", "503", []byte(nil))
	f.Add("1", "", "503", []byte(`{}`))
	f.Add("01", wire.Busy, "", []byte(`{}`))
	f.Add("1", wire.Probe, "", []byte(nil))
	f.Add("1", wire.Running, "", []byte(nil))
	f.Add("1", "newer", "", []byte(nil))
	f.Add("+1", "", "404", []byte(`{`))
	f.Add("1", "other", "", []byte("{\"data\":\"\xff\"}"))
	f.Add("1", "", "", []byte(strings.Repeat(`{"data":`, 20_000)))
	f.Fuzz(func(t *testing.T, token, word, status string, body []byte) {
		d := &Dispatcher{inbox: "_INBOX.x.", calls: make(map[string]*call)}
		first, second := d.open(), d.open()
		if token == "1" {
			token = first.token
		}
		msg := &nats.Msg{Subject: d.inbox + token, Header: nats.Header{}, Data: body}
		if word != "" {
			msg.Header[wire.SignalHeader] = []string{word}
		}
		if status != "" {
			msg.Header["Status"] = []string{status}
		}
		for range 5 { // more than there is room for
			d.receive(msg)
		}
		if len(second.answers) > 0 {
			t.Fatalf("token %q is guessed", token)
		}
		if running(msg) && len(first.answers) > 1 {
			t.Error("heartbeats take the room of the answer")
		}
		if running(msg) {
			return // and is no answer
		}
		var reply wire.Reply
		answer, err := settle(msg)
		if err == nil {
			reply = replyOf(answer.Data)
		}
		switch {
		case errors.Is(err, ErrNoWorker):
			if status != "503" || len(body) > 0 {
				t.Errorf("status %q with %q: %v", status, body, err)
			}
		case errors.Is(err, ErrBusy):
			if word != wire.Busy {
				t.Errorf("signal %q: %v", word, err)
			}
		case err != nil:
			t.Errorf("error %v, which is none of settle's", err)
		case !json.Valid(body) && reply.Outcome() != wire.Unknown:
			t.Errorf("outcome %s of %q", reply.Outcome(), body)
		}
		if encoded, err := wire.Encode(reply); err != nil || !utf8.Valid(encoded) {
			t.Errorf("Encode = %q, %v", encoded, err)
		}
	})
}
