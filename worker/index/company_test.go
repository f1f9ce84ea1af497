package index

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// inMemory is a cluster without a network, so that it fits into a bubble of synctest.
type inMemory func(documents int)

// RoundTrip implements [http.RoundTripper].
func (c inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	n := bytes.Count(body, []byte("\n")) / 2
	c(n)
	items := strings.TrimSuffix(strings.Repeat(`{"create":{"status":201}},`, n), ",")
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"X-Elastic-Product": {"Elasticsearch"}},
		Body: io.NopCloser(strings.NewReader(`{"errors":false,"took":1,"items":[` + items + `]}`)),
	}, nil
}

// A timer would let time pass between a caller, or the end of what he waits for, and
// his request.
func TestNobodyWaitsForCompany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const lasts = 10 * time.Millisecond
		began := time.Now()
		e := newExecutor(t, Config{URL: "http://cluster:9200", Batching: roomy})
		defer e.Close()
		var sent []string
		e.transport.RegisterProtocol("http", inMemory(func(documents int) {
			sent = append(sent, fmt.Sprintf("%s: %d", time.Since(began), documents))
			time.Sleep(lasts)
		}))
		var answers []<-chan answer
		for _, at := range []time.Duration{0, 3 * time.Millisecond, 7 * time.Millisecond, 50 * time.Millisecond} {
			time.Sleep(at - time.Since(began))
			answers = append(answers, begin(t.Context(), e, into(t, "a", `{}`)))
		}
		for _, a := range answers {
			if got := <-a; got.err != nil {
				t.Error(got.err)
			}
		}
		if diff := cmp.Diff([]string{"0s: 1", "10ms: 2", "50ms: 1"}, sent); diff != "" {
			t.Errorf("documents sent by time (-want +got):\n%s", diff)
		}
	})
}

// Those who were rejected together must not come back together.
func TestPausesBeforeRejectedDocumentsAreSpread(t *testing.T) {
	t.Parallel()
	for tries := 1; tries < maxTries; tries++ {
		least, most := pauseFor(tries, 0), pauseFor(tries, 0)
		for range 1000 {
			d := pauseFor(tries, 0)
			least, most = min(least, d), max(most, d)
		}
		if usual := backoff << (tries - 1); least > usual*6/10 || most < usual*14/10 {
			t.Errorf("pauses after %d tries are from %s to %s, want about half to one and a half of %s", tries, least, most, usual)
		}
	}
}
