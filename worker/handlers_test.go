package worker

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/connector"
	"patchbay.dev/worker/outbound"
	"patchbay.dev/worker/pool"
)

func types(handlers []pool.Handler) []string {
	var ids []string
	for _, h := range handlers {
		ids = append(ids, h.Type())
	}
	slices.Sort(ids)
	return ids
}

func allHandlers(t *testing.T) []pool.Handler {
	t.Helper()
	all, end, err := handlers(Config{MaxResponse: 1}, outbound.New(outbound.Policy{}), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	return all
}

func TestEveryTypeHasAnExecutor(t *testing.T) {
	t.Parallel()
	var want []string
	for _, d := range connector.All {
		want = append(want, d.Describe().ID)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, types(allHandlers(t))); diff != "" {
		t.Errorf("handlers (-types +handlers):\n%s", diff)
	}
}

func TestChosenTypes(t *testing.T) {
	t.Parallel()
	all := allHandlers(t)
	for _, test := range []struct {
		setting []string
		want    []string
		wantErr string
	}{
		{[]string{"all"}, []string{".index", ".jira", ".server-log"}, ""},
		{[]string{".index"}, []string{".index"}, ""},
		{[]string{".server-log", ".index"}, []string{".index", ".server-log"}, ""},
		{[]string{"index"}, nil, `PATCHBAY_WORKER_TYPES: "index" is not a connector type; there are .index, .server-log, .jira`},
		{[]string{"all", ".index"}, nil, `PATCHBAY_WORKER_TYPES: "all" is not a connector type; there are .index, .server-log, .jira`},
		{[]string{".index", ".index"}, nil, `PATCHBAY_WORKER_TYPES: ".index" is named twice`},
	} {
		got, err := chosen(all, test.setting)
		message := ""
		if err != nil {
			message = err.Error()
		}
		if diff := cmp.Diff(test.want, types(got)); diff != "" || message != test.wantErr {
			t.Errorf("%v: error %q, want %q; types (-want +got):\n%s", test.setting, message, test.wantErr, diff)
		}
	}
}
