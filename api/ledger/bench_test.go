package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"patchbay.dev/api/sqlite"
	"patchbay.dev/shared/wire"
)

func openBench(b *testing.B, options Options) *Ledger {
	b.Helper()
	options.MaxQueued, options.MaxQueuedPerConnector = 1<<30, 1<<30
	l, err := Open(b.Context(), b.TempDir(), options)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	return l
}

// typical is a submission as an alert makes it.
func typical(b *testing.B) Submission {
	id, err := uuid.NewV7()
	if err != nil {
		b.Fatal(err)
	}
	s := example(id.String())
	s.Params = json.RawMessage(`{"documents":[{"@timestamp":"2026-05-01T12:00:00.000Z","rule":"disk full","host":"web-1","value":97.5}]}`)
	s.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	return s
}

// BenchmarkAccept64 is 64 callers with an execution each.
func BenchmarkAccept64(b *testing.B) {
	l := openBench(b, Options{})
	b.SetParallelism(32) // for each of two processors
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := l.Accept(b.Context(), []Submission{typical(b)}); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkCommitByHand is what BenchmarkAccept64 stands beside: one commit for each.
func BenchmarkCommitByHand(b *testing.B) {
	db := byHand(b)
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s := typical(b)
			if _, err := db.Exec(`INSERT INTO execution (id, params) VALUES (?, ?)`, s.ID, string(s.Params)); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func byHand(b *testing.B) *sqlx.DB {
	db, err := sqlite.Writer(b.TempDir()+"/a.db", time.Minute, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	if _, err := db.Exec(`CREATE TABLE execution (id TEXT PRIMARY KEY, params TEXT NOT NULL) STRICT`); err != nil {
		b.Fatal(err)
	}
	return db
}

// BenchmarkAcceptBulk is one caller with 500 executions at a time.
func BenchmarkAcceptBulk(b *testing.B) {
	l := openBench(b, Options{})
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		submissions := make([]Submission, 500)
		for i := range submissions {
			submissions[i] = typical(b)
		}
		if _, err := l.Accept(b.Context(), submissions); err != nil {
			b.Fatal(err)
		}
		rows += len(submissions)
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(rows), "ns/row")
}

func typicalRecord(b *testing.B) Record {
	s := typical(b)
	now := time.Now()
	return Record{
		ID: s.ID, Space: s.Space, ConnectorID: s.ConnectorID, ConnectorName: s.ConnectorName, Type: s.Type, Bytes: len(s.Params),
		TraceID: TraceID(s.Traceparent), Attempt: Attempt{
			Number: 1, Last: true, StartedAt: now, EndedAt: now.Add(time.Millisecond), Dispatch: 100 * time.Microsecond,
			Run: time.Millisecond, Outcome: wire.OK, Worker: "worker-1",
		},
	}
}

// BenchmarkLog is what a logged execution costs in all: the call and the writing.
func BenchmarkLog(b *testing.B) {
	l := openBench(b, Options{})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		l.Log(typicalRecord(b))
		if i++; i%manyRecords == 0 {
			if err := l.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := l.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	if lost := l.Stats().Dropped; lost > 0 {
		b.Errorf("lost %d", lost)
	}
}

// BenchmarkLogCall is the call alone: so many that most are dropped.
func BenchmarkLogCall(b *testing.B) {
	l := openBench(b, Options{})
	r := typicalRecord(b)
	b.ReportAllocs()
	for b.Loop() {
		l.Log(r)
	}
}

// BenchmarkDrain is an execution from Due to its end, of 64 at once.
func BenchmarkDrain(b *testing.B) {
	for _, depth := range []int{100, 100_000} {
		b.Run(fmt.Sprint(depth), func(b *testing.B) {
			l := openBench(b, Options{})
			fill(b, l, depth+b.N)
			var turn atomic.Int64
			b.SetParallelism(32)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					seq := turn.Add(1)
					jobs, err := l.Claim(context.Background(), []int64{seq}, time.Now())
					if err != nil || len(jobs) != 1 {
						b.Error(len(jobs), err)
						return
					}
					e := Ending{Seq: seq, State: Done, Attempt: jobs[0].Attempt}
					e.Attempt.Outcome = wire.OK
					if err := l.End(context.Background(), e); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func fill(b *testing.B, l *Ledger, n int) {
	for n > 0 {
		submissions := make([]Submission, min(n, 500))
		for i := range submissions {
			submissions[i] = typical(b)
		}
		if _, err := l.Accept(b.Context(), submissions); err != nil {
			b.Fatal(err)
		}
		n -= len(submissions)
	}
}
