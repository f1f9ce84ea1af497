package index

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"patchbay.dev/worker/outbound"
)

// cluster answers _bulk requests as a test says.
func cluster(t *testing.T, answer func(w http.ResponseWriter, body string)) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		answer(w, string(body))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// To try again would write the first document twice.
func TestPartlyWrittenAfterARejectionIsNotToBeTriedAgain(t *testing.T) {
	t.Parallel()
	const rejected = `{"create":{"_index":"a","_id":"1","status":429,"error":{"type":"x","reason":"full"}}}`
	for name, first := range map[string]func(http.ResponseWriter){
		"each document": func(w http.ResponseWriter) {
			fmt.Fprintf(w, `{"errors":true,"took":1,"items":[%s,%s]}`, rejected, rejected)
		},
		"the request": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"error":{"type":"es_rejected_execution_exception","reason":"full"},"status":429}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			url := cluster(t, func(w http.ResponseWriter, _ string) {
				if requests.Add(1) == 1 {
					first(w)
					return
				}
				fmt.Fprintf(w, `{"errors":true,"took":1,"items":[{"create":{"_index":"a","_id":"1","status":201}},`+
					`{"create":{"_index":"a","_id":"2","status":400,"error":{"type":"x","reason":%q}}}]}`, strings.Repeat("r", 2<<20))
			})
			e, err := New(outbound.New(outbound.Policy{}), Config{URL: url, Batching: roomy}, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			noPause(e)
			_, err = e.Execute(t.Context(), into(t, "a", `{"n":1},{"n":2}`))
			f := failure(t, err)
			if !strings.Contains(f.ServiceMessage, "some documents were not written") || !f.Retry.IsZero() || requests.Load() != 2 {
				t.Errorf("after %d requests: %q, retry %+v", requests.Load(), f.ServiceMessage, f.Retry)
			}
		})
	}
}

// Elasticsearch repeats in its reasons what it could not read.
func TestLongReasonsOfOneDoNotHideTheOutcomeOfAnother(t *testing.T) {
	t.Parallel()
	held, arrived := make(chan struct{}), make(chan struct{})
	var requests atomic.Int32
	url := cluster(t, func(w http.ResponseWriter, body string) {
		if requests.Add(1) == 1 {
			close(arrived)
			<-held
		}
		var items []string
		failed := false
		for line := range strings.Lines(body) {
			switch {
			case strings.Contains(line, "op_type"):
			case len(line) > 100:
				failed = true
				items = append(items, fmt.Sprintf(`{"create":{"_index":"b","_id":"1","status":400,"error":{"type":"x","reason":%q,"caused_by":{"type":"y","reason":%q}}}}`, line, line))
			default:
				items = append(items, `{"create":{"_index":"a","_id":"1","status":201}}`)
			}
		}
		fmt.Fprintf(w, `{"errors":%t,"took":1,"items":[%s]}`, failed, strings.Join(items, ","))
	})
	batching := roomy
	batching.InFlight, batching.Bytes, batching.Queue = 1, 8<<20, 64<<20
	e, err := New(outbound.New(outbound.Policy{}), Config{URL: url, Batching: batching}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.patience = time.Hour
	first := begin(t.Context(), e, into(t, "first", `{}`))
	<-arrived
	var long bytes.Buffer
	for i := range 40 {
		if i > 0 {
			long.WriteByte(',')
		}
		fmt.Fprintf(&long, `{"n":%q}`, strings.Repeat("x", 50<<10))
	}
	others := join(t, e, into(t, "good", `{"n":1}`), into(t, "long", long.String()))
	close(held)
	<-first
	if good := <-others[0]; good.err != nil {
		t.Errorf("the neighbour: %v", good.err)
	}
	<-others[1]
}

func TestSlowClusterGetsNoMoreAtOnceThanItMay(t *testing.T) {
	t.Parallel()
	const inFlight, indices = 2, 60
	var now, most atomic.Int64
	release := make(chan struct{})
	url := cluster(t, func(w http.ResponseWriter, body string) {
		c := now.Add(1)
		for m := most.Load(); c > m && !most.CompareAndSwap(m, c); m = most.Load() {
		}
		<-release
		now.Add(-1)
		item := `{"create":{"_index":"a","_id":"1","status":201}}`
		fmt.Fprintf(w, `{"errors":false,"took":1,"items":[%s]}`, strings.TrimSuffix(strings.Repeat(item+",", strings.Count(body, "op_type")), ","))
	})
	batching := roomy
	batching.InFlight = inFlight
	e, err := New(outbound.New(outbound.Policy{}), Config{URL: url, Batching: batching}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.batches.mu.Lock()
	for i := range indices { // each of which has been slow: it leaves by itself
		e.batches.suspect(fmt.Sprintf("i-%d", i))
	}
	e.batches.mu.Unlock()
	var wg sync.WaitGroup
	for i := range indices {
		wg.Go(func() {
			if _, err := e.Execute(t.Context(), into(t, fmt.Sprintf("i-%d", i), `{}`)); err != nil {
				t.Error(err)
			}
		})
	}
	for deadline := time.Now().Add(10 * time.Second); now.Load() < (airborneMost-1)*inFlight; {
		if time.Now().After(deadline) {
			close(release)
			t.Fatalf("%d at once", now.Load())
		}
	}
	close(release)
	wg.Wait()
	if got := most.Load(); got > (airborneMost-1)*inFlight {
		t.Errorf("%d at once, want at most %d", got, (airborneMost-1)*inFlight)
	}
}
