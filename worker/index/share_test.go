package index

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/schema"
	"patchbay.dev/worker/index/elastictest"
)

// echo is a cluster whose item for each document is the document's member "item",
// as it stands there. The order of its members and the blanks between are those
// of frame, with %t and %s in it.
func echo(frame string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var items []string
		failed := false
		for i, line := range strings.Split(strings.TrimSuffix(string(body), "\n"), "\n") {
			start, end, found := schema.Find([]byte(line), "item")
			if i%2 == 0 || !found {
				continue
			}
			items = append(items, line[start:end])
			status := decodedStatus([]byte(line[start:end]))
			failed = failed || status < 200 || status > 299
		}
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		answer := strings.Replace(strings.Replace(frame, "%t", fmt.Sprint(failed), 1), "%s", strings.Join(items, " , "), 1)
		_, _ = io.WriteString(w, answer)
	}
}

var (
	frames = []string{
		`{"errors":%t,"took":3,"items":[%s]}`,
		`{"took":30,"ingest_took":2,"errors":%t,"items":[%s]}`,
		` { "items" : [ %s ] , "more":{"errors":true,"items":[]}, "errors" : %t , "took": 1 } `,
		`{"errors":%t,"ERRORS":%t,"items":[%s]}`, // which of them counts depends on the reader
	}
	kinds = []string{
		`{"create":{"_index":"a","_id":"1","_shards":{"total":2,"status":5},"status":201}}`,
		`{ "create" : { "status" : 200 , "x":"\"}],[{\\" } }`,
		`{"create":{"status":201,"forced_refresh":true,"é":[1,-2.5e3,null,[{}]]}}`,
		`{"create":{"_index":"a","status":400,"error":{"type":"t","reason":"no","caused_by":{"type":"c","reason":"why"}}}}`,
		`{"create":{"status":409,"error":"text"}}`,
		`{"create":{"status":429,"error":{"reason":"full"}}}`,
		`{"create":{"status":503,"error":{"reason":"away"}}}`,
		`{"create":{"Status":201,"error":null}}`, `{"create":{"\u0073tatus":404}}`, `{"create":{"status":201,"status":400}}`,
		`{"create":{"status":2e2}}`, `{"create":{"status":"201"}}`, `{"create":{"status":99}}`, `{"create":{}}`, `{}`, `null`, `[]`, `7`,
		`{"create":{"status":201},"index":{"status":201}}`,
	}
)

// What an execution gets out of a bulk is what it gets alone, byte for byte.
func TestAnswerInABulkIsTheAnswerAlone(t *testing.T) {
	t.Parallel()
	for round := range 150 {
		random := rand.New(rand.NewPCG(5, uint64(round)))
		frame := frames[random.IntN(len(frames)-1)]
		cluster := httptest.NewServer(echo(frame))
		e := newExecutor(t, Config{URL: cluster.URL, Batching: roomy})
		if random.IntN(3) == 0 {
			e.maxResponse = 150
		}
		kinds := kinds[:3+random.IntN(len(kinds)-2)] // often only good ones, or only usual ones
		var batch []*member
		for range 2 + random.IntN(5) {
			var documents []string
			for range 1 + random.IntN(3) {
				documents = append(documents, `{"item":`+kinds[random.IntN(len(kinds))]+`}`)
			}
			j := into(t, "a", strings.Join(documents, ","))
			x := &execution{target: "a", documents: j.Params.Documents, now: clock}
			batch = append(batch, &member{execution: x, ctx: t.Context(), action: actionFor("a"), done: make(chan struct{})})
		}
		e.batches.carry(new(flight), batch)
		wellTold := func(x *execution) bool { // each of the items is of a kind that only one way to read it fits
			for _, d := range x.documents {
				if strings.Contains(string(d), "tatus\":\"") || strings.Contains(string(d), `:7}`) || strings.Contains(string(d), `:[]}`) {
					return false
				}
			}
			return true
		}
		for i, m := range batch {
			select {
			case <-m.done:
			default:
				t.Fatalf("execution %d has no result", i)
			}
			alone := e.alone(t.Context(), m.execution, false)
			if !wellTold(m.execution) {
				if m.result.err == nil || alone.err == nil {
					t.Errorf("round %d, execution %d: %v in the bulk, %v alone, want failures", round, i, m.result.err, alone.err)
				}
				continue
			}
			if diff := cmp.Diff(alone.err, m.result.err, comparable); diff != "" {
				t.Errorf("round %d, execution %d: error (-alone +in the bulk):\n%s", round, i, diff)
			}
			if diff := cmp.Diff(alone.rejected, m.result.rejected); diff != "" {
				t.Errorf("round %d, execution %d: rejected (-alone +in the bulk):\n%s", round, i, diff)
			}
			if alone.err == nil && !bytes.Equal(alone.data, m.result.data) {
				t.Errorf("round %d, execution %d:\nalone       %s\nin the bulk %s", round, i, alone.data, m.result.data)
			}
		}
		e.Close()
		cluster.Close()
	}
}

// The same through the front door, with the stand-in, whose ids and numbers of
// documents differ from request to request.
func TestCallersCannotTellABulkFromARequestOfTheirOwn(t *testing.T) {
	t.Parallel()
	e, cluster := setupBatching(t, roomy, elastictest.Options{})
	noPause(e)
	alone, _ := setup(t)
	jobs := []job{
		into(t, "any", `{}`), into(t, "per-item", `{},{"status":409},{"status":400}`), into(t, "per-item", `{"status":429}`),
		into(t, "no-reason", `{},{}`), into(t, "other", `{},{},{}`), into(t, "per-item", `{"status":201}`), into(t, "any", ``),
		into(t, "status-400", `{}`), into(t, "status-413", `{}`),
	}
	answers, _ := together(t, e, cluster, jobs...)
	for i, got := range answers {
		data, err := alone.Execute(t.Context(), jobs[i])
		if err != nil {
			want, got := failure(t, err), failure(t, got.err)
			want.ServiceMessage, got.ServiceMessage = numberless(want.ServiceMessage), numberless(got.ServiceMessage)
			if diff := cmp.Diff(want, got, comparable); diff != "" {
				t.Errorf("%s: failure (-alone +in the bulk):\n%s", jobs[i].Config.Index, diff)
			}
			continue
		}
		if diff := cmp.Diff(numberless(string(data)), numberless(got.data)); got.err != nil || diff != "" {
			t.Errorf("%s: %v, data (-alone +in the bulk):\n%s", jobs[i].Config.Index, got.err, diff)
		}
	}
}

// numberless returns text with the same ids and numbers in every answer.
func numberless(text string) string {
	return numbers.ReplaceAllString(text, "${1}N")
}

var numbers = regexp.MustCompile(`("_id":"stand-in-|not-written-|"_seq_no":)\d+`)

func TestAnswerThatReadersUnderstandDifferentlyIsUnknown(t *testing.T) {
	t.Parallel()
	const item = `{"create":{"status":201}}`
	for _, answer := range []string{
		`{"errors":false,"errors":true,"items":[` + item + `,` + item + `]}`, `{"errors":false,"Errors":true,"items":[` + item + `,` + item + `]}`,
		`{"errors":false,"items":[` + item + `],"items":[` + item + `,` + item + `]}`, `{"errors":false,"it\u0065ms":[` + item + `,` + item + `]}`,
		`{"errors":null,"items":[` + item + `,` + item + `]}`, `{"errors":0,"items":[` + item + `,` + item + `]}`, `{"items":[` + item + `,` + item + `]}`,
		`{"errors":false,"items":{}}`, `{"errors":false}`, `[]`, `null`, `7`, `""`, ``, ` `, `{`, `{"errors":false,"items":[` + item + `,` + item + `]`,
		`{"errors":false,"items":[` + item + `]}`, `{"errors":false,"items":[` + item + `,` + item + `,` + item + `]}`,
	} {
		r := reply{response: response(200, nil), answer: []byte(answer)}
		for i, got := range newExecutor(t, Config{}).deal(t.Context(), r, maxResponse, []int{1, 1}) {
			if f := failure(t, got.err); !f.Unknown || len(got.rejected) > 0 || got.data != nil {
				t.Errorf("%s: execution %d: %+v, want unknown", answer, i, got)
			}
		}
	}
}

// An error that is no document's may be anyone's.
func TestErrorWithoutAFailedItemIsEveryones(t *testing.T) {
	t.Parallel()
	const item = `{"create":{"status":201}}`
	r := reply{response: response(200, nil), answer: []byte(`{"errors":true,"items":[` + item + `,` + item + `]}`)}
	for i, got := range newExecutor(t, Config{}).deal(t.Context(), r, maxResponse, []int{1, 1}) {
		if f := failure(t, got.err); f.Unknown || f.ServiceMessage != "Indexing error but no reason returned." {
			t.Errorf("execution %d: %+v", i, f)
		}
	}
}

// FuzzShares holds the shares of an answer against a plain reading of it.
func FuzzShares(f *testing.F) {
	for _, a := range answers {
		f.Add([]byte(a), 1, 0)
	}
	for _, frame := range frames {
		f.Add([]byte(strings.Replace(strings.ReplaceAll(frame, "%t", "true"), "%s", strings.Join(kinds, ","), 1)), 4, len(kinds)-4)
	}
	f.Fuzz(func(t *testing.T, answer []byte, first, second int) {
		s, err := scan(answer, 0)
		if checked := schema.Check(answer, schema.MaxDepth); err == nil && checked != nil {
			t.Fatalf("%q is taken: %v", answer, checked)
		}
		if err != nil || first < 0 || second < 0 || first > 1000 || second > 1000 {
			return
		}
		type plain struct {
			Errors any
			Items  []json.RawMessage
		}
		var whole plain
		if err := json.Unmarshal(answer, &whole); err != nil {
			t.Fatalf("%q: %v", answer, err)
		}
		all, err := s.shares([]int{first, second})
		if (err == nil) != (len(whole.Items) == first+second) {
			t.Fatalf("%d items for %d and %d documents: %v", len(whole.Items), first, second, err)
		}
		if err != nil {
			return
		}
		var items []json.RawMessage
		for _, share := range all {
			var part plain
			if err := json.Unmarshal(share.answer, &part); err != nil {
				t.Fatalf("share %q: %v", share.answer, err)
			}
			if share.written != (part.Errors == false) {
				t.Errorf("written %t, errors %v", share.written, part.Errors)
			}
			if err := checkItems(share.answer, len(part.Items)); share.written != (err == nil) && share.written {
				t.Errorf("written, but %v: %s", err, share.answer)
			}
			items = append(items, part.Items...)
		}
		if diff := cmp.Diff(whole.Items, items); diff != "" && len(items) > 0 {
			t.Errorf("items (-whole +shares):\n%s", diff)
		}
	})
}
