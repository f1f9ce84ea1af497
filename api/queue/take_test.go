package queue

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/wire"
)

func TestTicketsThatNameNothingToRunAreThrownAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := newCounter()
	b.run = c.run
	nc := b.connect()
	js := jetStream(t, nc)
	b.start()
	wantStreams(t, js)
	ids := b.accept("c1", 50)
	for _, body := range []string{`{"seqs":[999999,1]}`, `{"seqs":[1,1,2]}`, `{"seqs":[]}`, `{}`, `not JSON`, ``, `{"seqs":[3,4,5,6,7,8,9,10]}`} {
		for range 3 {
			if _, err := js.Publish(t.Context(), "patchbay.v1.queue.index", []byte(body)); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.allDone(ids)
	c.once(t, ids)
	wantHeld(t, js, queueStream, 0)
}

func TestLostTicketsAreWrittenAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.AckWait = 400 * time.Millisecond
	c := newCounter()
	b.run = c.run
	js := jetStream(t, b.connect())
	b.start()
	wantStreams(t, js)
	if _, err := js.PauseConsumer(t.Context(), queueStream, "index", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	ids := b.accept("c1", 5)
	wantHeld(t, js, queueStream, 1)
	s, err := js.Stream(t.Context(), queueStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := js.ResumeConsumer(t.Context(), queueStream, "index"); err != nil {
		t.Fatal(err)
	}
	b.allDone(ids)
	c.once(t, ids)
}

func TestTicketIsKeptWhileItsExecutionsRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.AckWait = 300 * time.Millisecond
	beats := make(chan *nats.Msg, 1000)
	nc := b.connect()
	if _, err := nc.ChanSubscribe("$JS.ACK.PATCHBAY_QUEUE.index.>", beats); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	b.run = func(context.Context, *ledger.Job) (wire.Reply, error) {
		<-release
		return wire.Reply{}, nil
	}
	b.start()
	ids := b.accept("c1", 3)
	for range 6 { // twice as long as it would take to be delivered again
		if msg := receive(t, beats); string(msg.Data) != "+WPI" {
			t.Errorf("the broker is told %q of a ticket that is worked on", msg.Data)
		}
	}
	js := jetStream(t, nc)
	c, err := js.Consumer(t.Context(), queueStream, "index")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.CachedInfo().NumRedelivered; got != 0 {
		t.Errorf("%d tickets were delivered again", got)
	}
	close(release)
	b.allDone(ids)
	wantHeld(t, js, queueStream, 0)
}
