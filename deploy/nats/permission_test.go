package nats_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
)

// refusal returns what the broker said against what do did, nil if nothing.
func refusal(t *testing.T, nc *nats.Conn, do func()) error {
	t.Helper()
	before := nc.LastError()
	do()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	err := nc.LastError()
	//nolint:errorlint // the very same one, not one like it
	if err == before || !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	return err
}

// subscriptions are what a user may or may not listen to: "subject" or
// "subject queue".
func checkSubscriptions(t *testing.T, b *broker, user string, may bool, subscriptions ...string) {
	t.Helper()
	nc := b.connect(t, user)
	for _, s := range subscriptions {
		subject, queue, _ := strings.Cut(s, " ")
		err := refusal(t, nc, func() {
			if _, err := nc.QueueSubscribeSync(subject, queue); err != nil {
				t.Fatal(err)
			}
		})
		if (err == nil) != may {
			t.Errorf("%s subscribes to %q: %v, want it allowed: %t", user, s, err, may)
		}
	}
}

func checkPublications(t *testing.T, b *broker, user string, may bool, subjects ...string) {
	t.Helper()
	nc := b.connect(t, user)
	for _, subject := range subjects {
		err := refusal(t, nc, func() {
			if err := nc.Publish(subject, nil); err != nil {
				t.Fatal(err)
			}
		})
		if (err == nil) != may {
			t.Errorf("%s publishes to %q: %v, want it allowed: %t", user, subject, err, may)
		}
	}
}

func TestUsersMayWhatTheirWorkNeedsAndNoMore(t *testing.T) {
	t.Parallel()
	b := start(t)
	const inbox = "_INBOX_api.any.1"

	checkSubscriptions(t, b, "api", true, "_INBOX_api.any.*")
	checkPublications(t, b, "api", true, "patchbay.v1.execute.jira", "patchbay.v1.cancel.jira", "patchbay.v1.reseal.jira")
	checkSubscriptions(t, b, "api", false,
		"patchbay.v1.execute.jira", "patchbay.v1.execute.jira workers", "patchbay.v1.execute.*", "patchbay.v1.cancel.jira",
		"patchbay.v1.reseal.jira workers", "patchbay.v1.pause.jira", "patchbay.v1.>", ">", "_INBOX.any.*", "$SYS.>", "$JS.>")
	checkPublications(t, b, "api", false,
		"patchbay.v1.execute.a.b", "patchbay.v1.execute", "patchbay.v1.pause.jira", inbox, "other", "$JS.API.INFO", "$SYS.REQ.SERVER.PING",
		"patchbay.v1.submit.default", "patchbay.v1.queue.a.b", "$JS.API.STREAM.DELETE.PATCHBAY_QUEUE", "$JS.API.STREAM.PURGE.PATCHBAY_SUBMIT",
		"$JS.API.STREAM.CREATE.OTHER", "$JS.API.CONSUMER.MSG.NEXT.OTHER.any", "$JS.ACK.OTHER.any.1")

	checkPublications(t, b, "producer", true, "patchbay.v1.submit.default")
	checkSubscriptions(t, b, "producer", true, "_INBOX.any.*")
	checkSubscriptions(t, b, "producer", false, "patchbay.v1.submit.*", "patchbay.v1.>", "_INBOX_api.>", "$JS.>", ">")
	checkPublications(t, b, "producer", false,
		"patchbay.v1.submit", "patchbay.v1.submit.a.b", "patchbay.v1.execute.jira", "patchbay.v1.queue.jira", "patchbay.v1.cancel.jira",
		"patchbay.v1.pause.jira", inbox, "$JS.API.INFO", "$JS.API.STREAM.INFO.PATCHBAY_SUBMIT", "$JS.ACK.PATCHBAY_SUBMIT.any.1")

	checkSubscriptions(t, b, "worker-jira", true,
		"patchbay.v1.execute.jira workers", "patchbay.v1.reseal.jira workers", "patchbay.v1.cancel.jira", "patchbay.v1.pause.jira")
	checkPublications(t, b, "worker-jira", true, inbox, "patchbay.v1.pause.jira")
	checkPublications(t, b, "worker-jira", false, "patchbay.v1.pause.index", "patchbay.v1.pause.jira.more", "patchbay.v1.pause.any")
	checkPublications(t, b, "worker", true, "patchbay.v1.pause.jira", "patchbay.v1.pause.index")
	for _, user := range []string{"worker-jira", "worker"} {
		checkPublications(t, b, user, false, "patchbay.v1.submit.default", "patchbay.v1.queue.jira", "$JS.ACK.PATCHBAY_QUEUE.any.1")
		checkSubscriptions(t, b, user, false,
			// Requests without the queue group, or with another one, would be read along.
			"patchbay.v1.execute.jira", "patchbay.v1.execute.jira others", "patchbay.v1.reseal.jira", "patchbay.v1.reseal.jira others",
			"patchbay.v1.execute.*", "patchbay.v1.execute.>", "patchbay.v1.>", "patchbay.v1.> workers", ">", "> workers",
			"_INBOX_api.>", "_INBOX_api.> workers", inbox, "_INBOX.any", "_INBOX.>", "$SYS.>", "$JS.>", "$JS.API.> workers")
		checkPublications(t, b, user, false,
			"patchbay.v1.execute.jira", "patchbay.v1.cancel.jira", "patchbay.v1.reseal.jira", "patchbay.v1.execute.index",
			"_INBOX.any", "_INBOX_api", "_INBOX_api.any", "_INBOX_api.any.1.2", "_INBOX_other.any.1", "other",
			"$JS.API.INFO", "$JS.API.STREAM.CREATE.any", "$SYS.REQ.SERVER.PING")
	}
	checkSubscriptions(t, b, "worker-jira", false,
		"patchbay.v1.execute.index", "patchbay.v1.execute.index workers", "patchbay.v1.execute.* workers", "patchbay.v1.execute.> workers",
		"patchbay.v1.reseal.index workers", "patchbay.v1.reseal.* workers", "patchbay.v1.cancel.index", "patchbay.v1.cancel.*",
		"patchbay.v1.pause.index", "patchbay.v1.pause.*")
	checkSubscriptions(t, b, "worker", true,
		"patchbay.v1.execute.index workers", "patchbay.v1.execute.jira workers", "patchbay.v1.reseal.jira workers", "patchbay.v1.cancel.jira", "patchbay.v1.pause.jira")
}

// The broker lets workers send to any inbox of an api: what protects an answer is
// that nobody can guess where it goes.
func TestAnswersToWhatWasNotAskedReachNobody(t *testing.T) {
	t.Parallel()
	b := start(t)
	d := b.dispatcher(t)
	worker := b.connect(t, "worker-server-log")
	seen := map[string]bool{}
	_, err := worker.QueueSubscribe("patchbay.v1.execute.server-log", wire.QueueGroup, func(msg *nats.Msg) {
		inbox, token := msg.Reply[:strings.LastIndexByte(msg.Reply, '.')+1], msg.Reply[strings.LastIndexByte(msg.Reply, '.')+1:]
		if len(token) < 26 || seen[token] { // of 32 letters: 128 bits
			t.Errorf("reply subject %s: the last part can be guessed", msg.Reply)
		}
		seen[token] = true
		for _, guess := range []string{"1", token[:25] + "_", strings.ToLower(token), "check"} {
			if err := worker.Publish(inbox+guess, []byte(`{"data":"forged"}`)); err != nil {
				t.Error(err)
			}
		}
		for _, answer := range []string{`{"data":"done"}`, `{"data":"again"}`} {
			if err := msg.Respond([]byte(answer)); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Flush(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if reply, err := d.Ask(t.Context(), request(".server-log"), nil, patience); err != nil || string(reply.Data) != `"done"` {
			t.Errorf("Ask: %+v, %v", reply, err)
		}
	}
}

func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	b, other := start(t), start(t) // whose keys are others
	if nc, err := nats.Connect(b.ClientURL()); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("without a key: %v, %v, want %v", nc, err, nats.ErrAuthorization)
	}
	if nc, err := nats.Connect(b.ClientURL(), nats.UserInfo("api", "")); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("with a name: %v, %v, want %v", nc, err, nats.ErrAuthorization)
	}
	key, err := nats.NkeyOptionFromSeed(other.keys + "/api/api.nk")
	if err != nil {
		t.Fatal(err)
	}
	if nc, err := nats.Connect(b.ClientURL(), key); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("with a key of others: %v, %v, want %v", nc, err, nats.ErrAuthorization)
	}
}

// A type without a user of its own could be served only by workers of all types.
func TestEveryTypeHasAUser(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, typeID := range allTypes() {
		name := strings.TrimPrefix(typeID, ".")
		for _, want := range []string{"nkey: $worker-" + name + ",", "execute." + name + " workers", "reseal." + name + " workers", "cancel." + name + `"`, "pause." + name + `"`} {
			if !strings.Contains(string(text), want) {
				t.Errorf("nats.conf lacks %q for the type %s", want, typeID)
			}
		}
	}
}
