package faults_test

import (
	"context"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// queueStream and submitStream are the streams at the broker.
const queueStream, submitStream = "PATCHBAY_QUEUE", "PATCHBAY_SUBMIT"

// Everything that can break breaks, at random moments, while executions come in on
// every way there is. Then all is left in peace: what was accepted has its effect,
// once where that is promised.
func TestNothingIsLostWhateverBreaks(t *testing.T) {
	t.Parallel()
	t.Logf("go test ./deploy/faults -run '^%s$' -faults.seed=%d -faults.duration=%s", t.Name(), *seed, *duration)
	p := setup(t, options{workers: 2, api: []string{"-retry-delay=100ms", "-max-retry-delay=2s", "-attempts=1000", "-execute-timeout=10s"}})
	p.connector(t, "index", indexConnector)
	p.connector(t, "log", logConnector)
	p.connector(t, "jira", `{"name":"jira","connector_type_id":".jira","config":{"apiUrl":"http://`+p.toJira.Listen+
		`","projectKey":"CK"},"secrets":{"email":"patchbay@example.com","apiToken":"jira-token-1234"}}`)
	p.toElastic.disturb(t, far) // so that there is always something under way
	p.toJira.disturb(t, far)
	_, stream := p.observe(t)
	submissions, wiping := p.submitting(t), new(sync.RWMutex)
	b := newBook()

	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop) })
	defer end()
	ctx, cancel := context.WithTimeout(t.Context(), *duration+patience) // for the last word of the last fault
	defer cancel()
	var producing sync.WaitGroup
	for n := range 9 {
		one := producer{client: p.client, book: b, rng: rand.New(rand.NewPCG(*seed, uint64(n)))}
		submits := submitter{one, submissions, wiping}
		ways := []func(context.Context){one.keyed, one.bare, one.plain, one.waiting, one.bulk, submits.submit}
		producing.Go(func() { one.run(stop, func() { ways[n%len(ways)](ctx) }) })
	}
	c := chaos{parts: p, t: t, rng: rand.New(rand.NewPCG(*seed, 1<<32)), stream: stream, wiping: wiping}
	for until := time.Now().Add(*duration); time.Now().Before(until) && !t.Failed(); {
		c.fault()
		time.Sleep(time.Duration(c.rng.IntN(300)) * time.Millisecond) // some moment
	}
	end()
	producing.Wait()
	t.Logf("%d accepted, %d answered, %d refused, %d nobody knows; %d faults", b.count(accepted), b.count(answered), b.count(refused), b.count(doubtful), c.faults)
	p.settle(t, b, stream)
	b.audit(t, p)
	if violations := p.elastic.Violations(); len(violations) > 0 {
		t.Errorf("the cluster got what it should not: %q", violations[:1])
	}
	if t.Failed() {
		t.Logf("seed %d", *seed)
	}
}

// chaos breaks one thing at a time, or a few.
type chaos struct {
	*parts
	t      *testing.T
	rng    *rand.Rand
	stream jetstream.JetStream
	wiping *sync.RWMutex
	faults int
}

// fault breaks something and puts it right again.
func (c *chaos) fault() {
	c.faults++
	switch c.rng.IntN(8) {
	case 0, 1, 2:
		c.killSome()
	case 3:
		c.stopOne()
	case 4:
		c.wipe()
	case 5:
		c.forget()
	default:
		c.disturbOne()
	}
}

func (c *chaos) programs() []*program { return append([]*program{c.broker, c.api}, c.workers...) }

// a moment is between no time and the given one.
func (c *chaos) moment(most time.Duration) { time.Sleep(time.Duration(c.rng.Int64N(int64(most)))) }

// killSome kills one to all programs and starts them again in another order.
func (c *chaos) killSome() {
	all := c.programs()
	c.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	victims := all[:1+c.rng.IntN(len(all))]
	for _, v := range victims {
		c.t.Logf("kill %s", v.name)
		v.kill()
		c.moment(100 * time.Millisecond)
	}
	c.rng.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	for _, v := range victims {
		c.moment(200 * time.Millisecond)
		if c.rng.IntN(3) == 0 { // and again while it starts
			if err := v.begin(); err != nil {
				c.t.Fatal(err)
			}
			c.moment(50 * time.Millisecond)
			v.kill()
		}
		up(c.t, v)
	}
}

// stopOne stops a program as an operator does and starts it again.
func (c *chaos) stopOne() {
	one := c.programs()[1+c.rng.IntN(len(c.workers)+1)]
	c.t.Logf("stop %s", one.name)
	if err := one.stop(); err != nil {
		c.t.Error(err)
	}
	up(c.t, one)
}

// wipe takes from the broker everything it has stored. Submissions that the api has
// not accepted yet are nowhere else, so that it waits until there are none.
func (c *chaos) wipe() {
	c.wiping.Lock()
	defer c.wiping.Unlock()
	c.parts.taken(c.t, c.stream)
	c.t.Log("wipe the broker")
	c.broker.kill()
	if err := os.RemoveAll(c.storage); err != nil {
		c.t.Fatal(err)
	}
	c.moment(300 * time.Millisecond)
	up(c.t, c.broker)
}

// forget deletes the queue at a running broker.
func (c *chaos) forget() {
	c.t.Log("delete the queue")
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.stream.DeleteStream(ctx, queueStream) // it may be gone already
}

// disturbOne disturbs one of the ways for a while.
func (c *chaos) disturbOne() {
	ways := append([]way{c.toElastic, c.toJira}, c.toBroker...)
	w := ways[c.rng.IntN(len(ways))]
	ended := func() { w.mend(c.t) }
	if what := []string{"cut", answersVanish, requestsVanish, answersReset, requestsReset, slow}[c.rng.IntN(6)]; what == "cut" {
		c.t.Logf("%s: cut", w.Name)
		w.cut()
	} else {
		c.t.Logf("%s: %s", w.Name, what)
		ended = w.disturb(c.t, what)
	}
	c.moment(time.Second)
	ended()
}
