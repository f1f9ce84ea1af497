package index

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"patchbay.dev/shared/connector"
	"patchbay.dev/worker/outbound"
)

// stub is a cluster that takes delay for a _bulk request and writes every
// document. It does next to nothing, so that what is measured is ours.
func stub(b *testing.B, delay time.Duration) (url string, requests *atomic.Int64) {
	b.Helper()
	requests = new(atomic.Int64)
	const item = `{"create":{"_index":"alerts","_id":"mXkR6zWZoBq1mXyVqYc0","_version":1,"result":"created",` +
		`"_shards":{"total":2,"successful":1,"failed":0},"_seq_no":1234,"_primary_term":1,"status":201}}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		body, _ := io.ReadAll(r.Body)
		if delay > 0 {
			time.Sleep(delay)
		}
		w.Header()["X-Elastic-Product"] = []string{"Elasticsearch"}
		n := strings.Count(string(body), "\n") / 2
		_, _ = io.WriteString(w, `{"errors":false,"took":5,"items":[`+strings.Repeat(item+",", n-1)+item+`]}`)
	}))
	b.Cleanup(server.Close)
	return server.URL, requests
}

func newBench(b *testing.B, url string, batching Batching) *Executor {
	b.Helper()
	e, err := New(outbound.New(outbound.Policy{}), Config{URL: url, Batching: batching}, maxResponse)
	if err != nil {
		b.Fatal(err)
	}
	e.transport.MaxIdleConns, e.transport.MaxIdleConnsPerHost = 1024, 1024 // or "off" dials all the time
	b.Cleanup(e.Close)
	return e
}

func benchJob(b *testing.B) job {
	b.Helper()
	p, err := connector.Index.Params([]byte(`{"documents":[{"message":"disk full","host":"db-1","percent":93}]}`))
	if err != nil {
		b.Fatal(err)
	}
	return job{Config: connector.IndexConfig{Index: "alerts"}, Params: p}
}

// batchings are off, and on with several bulks in flight.
func batchings(inFlight ...int) (all []Batching) {
	all = append(all, Batching{})
	for _, n := range inFlight {
		all = append(all, Batching{On: true, InFlight: n, Bytes: 8 << 20, Documents: 5000, Queue: 64 << 20})
	}
	return all
}

func nameOf(batching Batching) string {
	if !batching.On {
		return "batching=off"
	}
	return fmt.Sprintf("in-flight=%d", batching.InFlight)
}

// BenchmarkCallers has many callers, each of whom runs his next execution when he
// has the answer. Beside the rate it tells how many executions a request carries.
func BenchmarkCallers(b *testing.B) {
	for _, callers := range []int{64, 512} {
		for _, batching := range batchings(1, 2, 4, 8) {
			b.Run(fmt.Sprintf("callers=%d/%s", callers, nameOf(batching)), func(b *testing.B) {
				url, requests := stub(b, 5*time.Millisecond)
				e, j := newBench(b, url, batching), benchJob(b)
				var left atomic.Int64
				left.Store(int64(b.N))
				b.ReportAllocs()
				b.ResetTimer()
				var all sync.WaitGroup
				for range callers {
					all.Go(func() {
						for left.Add(-1) >= 0 {
							if _, err := e.Execute(b.Context(), j); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "executions/s")
				b.ReportMetric(float64(b.N)/float64(requests.Load()), "executions/request")
			})
		}
	}
}

// BenchmarkLone has one caller.
func BenchmarkLone(b *testing.B) {
	for _, batching := range batchings(4) {
		b.Run(nameOf(batching), func(b *testing.B) {
			url, _ := stub(b, 0)
			e, j := newBench(b, url, batching), benchJob(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Execute(b.Context(), j); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkScan reads the answer to 64 documents.
func BenchmarkScan(b *testing.B) {
	const item = `{"create":{"_index":"bench","_id":"mXkTbZoBq2vEwA1yGk7c","_version":1,"result":"created","_shards":{"total":2,"successful":1,"failed":0},"_seq_no":1,"_primary_term":1,"status":201}}`
	answer := []byte(`{"errors":false,"took":1,"items":[` + strings.Repeat(item+",", 63) + item + `]}`)
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		if s, err := scan(answer, 64); err != nil || len(s.each) != 64 {
			b.Fatal(len(s.each), err)
		}
	}
}
