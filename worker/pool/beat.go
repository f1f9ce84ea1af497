package pool

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
)

// beats tells the callers of jobs that last that they are still running. One timer
// looks after all of them: most jobs are over before it has looked twice.
type beats struct {
	send func(msg *nats.Msg)

	mu  sync.Mutex
	due map[*nats.Msg]time.Time // when each running job is to be heard of next

	stopped chan struct{}
	beating sync.WaitGroup
}

func startBeats(send func(msg *nats.Msg)) *beats {
	b := &beats{send: send, due: make(map[*nats.Msg]time.Time), stopped: make(chan struct{})}
	b.beating.Go(b.beat)
	return b
}

// begin has the caller hear of a job until end.
func (b *beats) begin(msg *nats.Msg) {
	due := time.Now().Add(wire.FirstHeartbeat)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.due[msg] = due
}

func (b *beats) end(msg *nats.Msg) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.due, msg)
}

func (b *beats) beat() {
	tick := time.NewTicker(wire.FirstHeartbeat)
	defer tick.Stop()
	for {
		select {
		case <-b.stopped:
			return
		case now := <-tick.C:
			for _, msg := range b.overdue(now) {
				b.send(msg) // perhaps after its answer, and then nobody looks at it
			}
		}
	}
}

// overdue returns the jobs that are to be heard of now.
func (b *beats) overdue(now time.Time) (overdue []*nats.Msg) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for msg, due := range b.due {
		if !due.After(now) {
			overdue = append(overdue, msg)
			// Half a tick early: the tick of its time may itself be early.
			b.due[msg] = now.Add(wire.HeartbeatInterval - wire.FirstHeartbeat/2)
		}
	}
	return overdue
}

func (b *beats) stop() {
	close(b.stopped)
	b.beating.Wait()
}
