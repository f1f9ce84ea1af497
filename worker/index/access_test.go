package index

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
)

const history = "kibana-alert-history-default"

// unauthorized is what a cluster says of each document.
func unauthorized(key, index string) string {
	return "action [indices:data/write/bulk[s]] is unauthorized for API key id [" + key + "] on indices [" + index + "], " +
		"this action is granted by the index privileges [create_doc,create,delete,index,write,all]"
}

func TestAccessIsCheckedAgainstTheTarget(t *testing.T) {
	t.Parallel()
	const override = `"` + history + `"`
	tests := []struct {
		name     string
		access   *wire.Access
		index    string
		override string // JSON
		written  string // the index, or
		refused  string // the index
	}{
		{"no limit", nil, "alerts-a", "null", "alerts-a", ""},
		{"config inside", &wire.Access{Indices: []string{"logs", "alerts-*"}}, "alerts-a", "null", "alerts-a", ""},
		{"config outside", &wire.Access{Indices: []string{"logs", "alerts-*"}}, "other", "null", "", "other"},
		{"override inside", &wire.Access{Indices: []string{"kibana-alert-history-*"}}, "kibana-alert-history-a", override, history, ""},
		{"override inside, config outside", &wire.Access{Indices: []string{history}}, "alerts-a", override, history, ""},
		{"override outside, config inside", &wire.Access{Indices: []string{"alerts-*"}}, "alerts-a", override, "", history},
		{"both outside", &wire.Access{Indices: []string{"logs"}}, "alerts-a", override, "", history},
		{"no pattern", &wire.Access{Indices: []string{}}, "alerts-a", "null", "", "alerts-a"},
		{"nil patterns", &wire.Access{}, "alerts-a", override, "", history},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e, cluster := setup(t)
			job := newJob(t, `{"index":"`+test.index+`"}`, `{"documents":[{"a":1}],"indexOverride":`+test.override+`}`)
			if job.Access = test.access; job.Access != nil {
				job.Access.Key = "k1"
			}
			data, err := e.Execute(t.Context(), job)
			if test.refused == "" {
				if diff := cmp.Diff([]string{`{"a":1}`}, lines(cluster.Documents(test.written))); err != nil || diff != "" {
					t.Errorf("error %v, documents (-want +got):\n%s", err, diff)
				}
				return
			}
			want := ours(&wire.Failure{ServiceMessage: unauthorized("k1", test.refused)})
			if diff := cmp.Diff(want, failure(t, err), comparable); diff != "" || data != nil {
				t.Errorf("data %s, failure (-want +got):\n%s", data, diff)
			}
			if got := cluster.Requests(); got != 0 {
				t.Errorf("%d requests arrived", got)
			}
		})
	}
}

// One reason for each document, as from a cluster that refuses each, but no more
// than a caller gets to read.
func TestAccessIsRefusedPerDocument(t *testing.T) {
	t.Parallel()
	for documents, want := range map[int]int{0: 1, 1: 1, 2: 2, 127: 127, 128: 128, 129: 128, 10_000: 128} {
		e, cluster := setup(t)
		job := into(t, "any", strings.TrimSuffix(strings.Repeat("{},", documents), ","))
		job.Access = &wire.Access{Key: "k1", Indices: []string{"alerts-*"}}
		_, err := e.Execute(t.Context(), job)
		reason := unauthorized("k1", "any")
		text := reason + strings.Repeat(";"+reason, want-1)
		if diff := cmp.Diff(ours(&wire.Failure{ServiceMessage: text}), failure(t, err), comparable); diff != "" {
			t.Errorf("%d documents: failure (-want +got):\n%s", documents, diff)
		}
		if got := cluster.Requests(); got != 0 {
			t.Errorf("%d requests arrived", got)
		}
	}
	// What is left out is what the pool would cut.
	const cut = 16 << 10
	if shortest := len(unauthorized("", "a")) * maxRefusals; shortest <= cut {
		t.Errorf("%d reasons may have only %d bytes, want more than %d", maxRefusals, shortest, cut)
	}
}

// The same failure as when the cluster refuses every document.
func TestAccessIsRefusedAsByACluster(t *testing.T) {
	t.Parallel()
	item := `{"create":{"_index":"any","_id":"kR6zWZoBq1mXyVqYc0aT","status":403,"error":{"type":"security_exception","reason":"` +
		unauthorized("k1", "any") + `"}}}`
	want := checkItems([]byte(`{"errors":true,"took":1,"items":[`+item+`,`+item+`]}`), 2)
	got := checkAccess(&wire.Access{Key: "k1"}, "any", 2)
	if diff := cmp.Diff(failure(t, want), failure(t, got), comparable); diff != "" {
		t.Errorf("failure (-cluster +ours):\n%s", diff)
	}
}

func TestAccessIsCheckedAfterTheNameAndBeforeTheCluster(t *testing.T) {
	t.Parallel()
	without := newExecutor(t, Config{})
	for index, want := range map[string]string{
		"any":    unauthorized("k1", "any"),
		"logs-*": "Invalid index name [logs-*], must not contain the following characters [' ','\"','*','\\','<','|',',','>','/','?']",
	} {
		job := into(t, index, `{}`)
		job.Access = &wire.Access{Key: "k1", Indices: []string{"logs-*"}}
		_, err := without.Execute(t.Context(), job)
		if diff := cmp.Diff(ours(&wire.Failure{ServiceMessage: want}), failure(t, err), comparable); diff != "" {
			t.Errorf("%s: failure (-want +got):\n%s", index, diff)
		}
	}
}
