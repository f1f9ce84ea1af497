package api

import (
	"testing"

	"patchbay.dev/api/ledger"
	"patchbay.dev/shared/seal"
)

// bury has an execution of .jira end as a dead letter with params.
func (r *rotating) bury(id, params string) {
	r.Helper()
	accepted, err := r.server.ledger.Accept(r.Context(), []ledger.Submission{{
		ID: id, Space: "ops", ConnectorID: "tickets", ConnectorName: "n", Type: ".jira", MaxAttempts: 1, Params: []byte(params),
	}})
	if err != nil || accepted[0].Err != nil {
		r.Fatal(err, accepted)
	}
	e := accepted[0].Execution
	if _, err := r.server.ledger.Claim(r.Context(), []int64{e.Seq}, e.DueAt); err != nil {
		r.Fatal(err)
	}
	if err := r.server.ledger.End(r.Context(), ledger.Ending{Seq: e.Seq, State: ledger.Dead, Class: ledger.Refused}); err != nil {
		r.Fatal(err)
	}
}

// A prune after the rotation must not take the params of dead letters along.
func TestRotationSealsDeadLettersToTheCurrentKey(t *testing.T) {
	t.Parallel()
	r := setupRotation(t, options{})
	r.work()
	want := map[string]string{"e1": `{"a":1}`, "e2": `{"b":2}`}
	for id, params := range want {
		r.bury(id, params)
	}
	r.addKey()
	r.bury("e3", `{"c":3}`) // perhaps to the key from before
	want["e3"] = `{"c":3}`
	got := r.rotate()
	if got.body != `{"total":3,"successful":3,"failed":0}` && got.body != `{"total":3,"successful":2,"failed":0}` {
		t.Errorf("rotation: %s", got.body)
	}
	ring, removed, err := seal.PruneKeys(r.file)
	if err != nil || removed != 1 {
		t.Fatalf("prune: %d, %v", removed, err)
	}
	page, err := r.server.ledger.SealedParams(t.Context(), 0, 10)
	if err != nil || len(page) != len(want) {
		t.Fatalf("sealed params: %d, %v, want %d", len(page), err, len(want))
	}
	for _, dead := range page {
		params, err := ring.Open(dead.Params, seal.ParamsBinding(dead.Space, dead.ConnectorID, dead.Type, dead.ID))
		if err != nil || string(params) != want[dead.ID] {
			t.Errorf("params of %s: %s, %v, want %s", dead.ID, params, err, want[dead.ID])
		}
	}
}
