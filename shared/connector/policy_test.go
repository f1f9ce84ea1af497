package connector_test

import (
	"errors"
	"testing"
	"time"

	"patchbay.dev/shared/connector"
)

func TestPolicyGoesByTypeAndParams(t *testing.T) {
	t.Parallel()
	push := func(params string) string { return `{"subAction":"pushToService","subActionParams":` + params + `}` }
	const update = `{"incident":{"summary":"s","externalId":"CK-1"}`
	safe, created, unsafe := connector.Policy{Safe: true}, connector.Policy{Safe: true, Settle: 30 * time.Second}, connector.Policy{}
	for _, tt := range []struct {
		typeID, params string
		want           connector.Policy
	}{
		{".index", `{"documents":[{}]}`, safe},
		{".index", `{"documents":[]}`, safe},
		{".server-log", `{"message":"m"}`, safe},
		{".jira", `{"subAction":"getFields","subActionParams":{}}`, safe},
		{".jira", `{"subAction":"issues","subActionParams":{"title":"t"}}`, safe},
		{".jira", `{"subAction":"handshake","subActionParams":{"externalId":"x"}}`, safe},
		{".jira", push(`{"incident":{"summary":"s"}}`), created},
		{".jira", push(`{"incident":{"summary":"s"},"comments":[{"commentId":"1","comment":"c"}]}`), created},
		{".jira", push(update + `}`), safe},
		{".jira", push(update + `,"comments":[]}`), safe},
		{".jira", push(update + `,"comments":[{"commentId":"1","comment":""}]}`), safe},
		{".jira", push(update + `,"comments":[{"commentId":"1","comment":""},{"commentId":"2","comment":"c"}]}`), unsafe},
	} {
		d, err := connector.Find(tt.typeID)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.Policy([]byte(tt.params)); err != nil || got != tt.want {
			t.Errorf("%s: Policy(%s) = %+v, %v, want %+v", tt.typeID, tt.params, got, err, tt.want)
		}
	}
}

// What can never succeed must not get into a queue.
func TestPolicyRefusesParams(t *testing.T) {
	t.Parallel()
	for _, d := range connector.All {
		got, err := d.Policy([]byte(`{"no such key":1}`))
		invalid, ok := errors.AsType[*connector.Invalid](err)
		if !ok || invalid.Part != "params" || got != (connector.Policy{}) {
			t.Errorf("%s: Policy = %+v, %v, want refused params", d.Describe().ID, got, err)
		}
	}
}

// A type of which nobody has thought about it is not run again.
func TestPolicyOfATypeWithoutOneIsUnsafe(t *testing.T) {
	t.Parallel()
	if got, err := guarded.Policy([]byte(`{}`)); err != nil || got != (connector.Policy{}) {
		t.Errorf("Policy = %+v, %v, want the zero one", got, err)
	}
}
