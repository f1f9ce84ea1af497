package pool

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/wire"
)

// heard are the times at which jobs were heard of.
type heard struct {
	*beats
	began time.Time
	times map[*nats.Msg][]time.Duration
	most  int // at the same moment
	last  time.Duration
	n     int
}

func startHeard() *heard {
	h := &heard{began: time.Now(), times: make(map[*nats.Msg][]time.Duration)}
	h.beats = startBeats(func(msg *nats.Msg) {
		now := time.Since(h.began)
		h.times[msg] = append(h.times[msg], now)
		if now != h.last {
			h.last, h.n = now, 0
		}
		h.n++
		h.most = max(h.most, h.n)
	})
	return h
}

func TestJobsAreHeardOfInTimeAndNotTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := startHeard()
		const jobs, apart, lasts = 5000, time.Millisecond, 3 * time.Second
		began, all := make(map[*nats.Msg]time.Duration), make(map[*nats.Msg]*beat)
		for range jobs {
			msg := new(nats.Msg)
			began[msg], all[msg] = time.Since(h.began), h.begin(msg)
			time.Sleep(apart)
		}
		time.Sleep(lasts)
		for _, job := range all {
			h.end(job)
		}
		h.stop()
		for msg, at := range began {
			due := at + wire.FirstHeartbeat
			for i, got := range h.times[msg] {
				if late := got - due; late < 0 || late > 2*beatTick {
					t.Fatalf("a job was heard of the %dth time %s after it was due", i+1, late)
				}
				due = got + wire.HeartbeatInterval - beatTick
			}
			if least := int((lasts - wire.FirstHeartbeat) / wire.HeartbeatInterval); len(h.times[msg]) < least {
				t.Fatalf("a job was heard of %d times, want %d", len(h.times[msg]), least)
			}
		}
		// In each millisecond the first beat of one is due, and a later one of up to seven.
		if most := 8 * int(beatTick/apart); h.most > most {
			t.Errorf("%d jobs were heard of at once, want at most %d", h.most, most)
		}
	})
}

func TestJobsThatEndAreNotHeardOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := startHeard()
		var all []*beat
		for range 1000 {
			all = append(all, h.begin(new(nats.Msg)))
		}
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		time.Sleep(wire.FirstHeartbeat - time.Millisecond)
		for _, job := range all[:600] {
			h.end(job)
		}
		time.Sleep(wire.HeartbeatInterval / 2) // 400 were heard of
		for _, job := range all[600:700] {
			h.end(job)
		}
		time.Sleep(wire.HeartbeatInterval) // 300 twice
		for _, job := range all[700:] {
			h.end(job)
		}
		time.Sleep(time.Minute)
		h.stop()
		counts := make(map[int]int)
		for _, times := range h.times {
			counts[len(times)]++
		}
		if counts[1] != 100 || counts[2] != 300 || len(counts) != 2 {
			t.Errorf("jobs by how often they were heard of: %v", counts)
		}
		if h.young != (line{}) || h.old != (line{}) {
			t.Error("jobs that ended are still in line")
		}
	})
}
