package pool

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
)

// beats tells the callers of jobs that last that they are still running. One timer
// looks after all of them: most jobs are over before it comes to them.
type beats struct {
	send func(msg *nats.Msg)

	mu    sync.Mutex
	young line // jobs that nobody has heard of; in both the order is that of due
	old   line

	stopped chan struct{}
	beating sync.WaitGroup
}

// beat is a job in one of the lines.
type beat struct {
	msg        *nats.Msg
	due        time.Time // when it is to be heard of
	in         *line
	prev, next *beat
}

// line is a list of jobs.
type line struct{ first, last *beat }

// beatTick is how far apart the looks at the lines are at least, and so how much
// later than due a job may be heard of. It is short so that few are due at once:
// hundreds would be in the way of everyone else for milliseconds.
const beatTick = wire.FirstHeartbeat / 16

func startBeats(send func(msg *nats.Msg)) *beats {
	b := &beats{send: send, stopped: make(chan struct{})}
	b.beating.Go(b.beat)
	return b
}

// begin has the caller hear of a job until end.
func (b *beats) begin(msg *nats.Msg) *beat {
	job := &beat{msg: msg}
	b.mu.Lock()
	defer b.mu.Unlock()
	job.due = time.Now().Add(wire.FirstHeartbeat) // under the lock, to keep the order
	b.young.add(job)
	return job
}

func (b *beats) end(job *beat) {
	b.mu.Lock()
	defer b.mu.Unlock()
	job.in.remove(job)
}

func (b *beats) beat() {
	timer := time.NewTimer(wire.FirstHeartbeat)
	defer timer.Stop()
	for {
		select {
		case <-b.stopped:
			return
		case <-timer.C:
			overdue, pause := b.overdue(time.Now())
			for _, msg := range overdue {
				b.send(msg) // perhaps after its answer, and then nobody looks at it
			}
			timer.Reset(pause)
		}
	}
}

// overdue returns the jobs that are to be heard of now, and when to look again: what
// begins until then is not due before.
func (b *beats) overdue(now time.Time) (overdue []*nats.Msg, pause time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	pause = wire.FirstHeartbeat
	for _, l := range []*line{&b.young, &b.old} {
		for job := l.first; job != nil && !job.due.After(now); job = l.first {
			overdue = append(overdue, job.msg)
			l.remove(job)
			job.due = now.Add(wire.HeartbeatInterval - beatTick)
			b.old.add(job)
		}
		if l.first != nil {
			pause = min(pause, l.first.due.Sub(now))
		}
	}
	return overdue, max(pause, beatTick)
}

func (b *beats) stop() {
	close(b.stopped)
	b.beating.Wait()
}

func (l *line) add(job *beat) {
	job.in, job.prev, job.next = l, l.last, nil
	if l.last == nil {
		l.first = job
	} else {
		l.last.next = job
	}
	l.last = job
}

func (l *line) remove(job *beat) {
	if job.prev == nil {
		l.first = job.next
	} else {
		job.prev.next = job.next
	}
	if job.next == nil {
		l.last = job.prev
	} else {
		job.next.prev = job.prev
	}
}
