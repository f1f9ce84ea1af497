package worker

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"patchbay.dev/shared/connector"
	"patchbay.dev/worker/index"
	"patchbay.dev/worker/jira"
	"patchbay.dev/worker/outbound"
	"patchbay.dev/worker/pool"
	"patchbay.dev/worker/serverlog"
)

// handlers is the list: every connector type with its executor. layer is the way to
// destinations that connectors name. Call end when none of them runs any more.
func handlers(config Config, layer *outbound.Layer, log *slog.Logger) (all []pool.Handler, end func(), err error) {
	indexer, err := index.New(layer, config.Index, config.MaxResponse)
	if err != nil {
		return nil, nil, err
	}
	if config.Metrics != nil && serves(config.Types, connector.Index.Describe().ID) {
		if err := register(config.Metrics, newIndexMetrics(indexer)); err != nil {
			indexer.Close()
			return nil, nil, err
		}
	}
	return []pool.Handler{
		pool.Handle(connector.Index, indexer.Execute).To(cluster).WellFormed(),
		pool.Handle(connector.ServerLog, serverlog.New(log).Execute),
		pool.Handle(connector.Jira, jira.New(layer).Execute).To(jira.Destination),
	}, indexer.Close, nil
}

// cluster is the destination of every ".index" connector: a worker knows one.
func cluster(json.RawMessage) string { return "cluster" }

// serves reports whether the setting names a type.
func serves(types []string, id string) bool { return isAll(types) || slices.Contains(types, id) }

func isAll(types []string) bool { return slices.Equal(types, []string{"all"}) }

// chosen returns the handlers of the types that the setting names.
func chosen(all []pool.Handler, types []string) ([]pool.Handler, error) {
	if isAll(types) {
		return all, nil
	}
	var some []pool.Handler
	for _, t := range types {
		i := slices.IndexFunc(all, func(h pool.Handler) bool { return h.Type() == t })
		if i < 0 {
			var known []string
			for _, h := range all {
				known = append(known, h.Type())
			}
			return nil, fmt.Errorf("PATCHBAY_WORKER_TYPES: %q is not a connector type; there are %s", t, strings.Join(known, ", "))
		}
		if slices.ContainsFunc(some, func(h pool.Handler) bool { return h.Type() == t }) {
			return nil, fmt.Errorf("PATCHBAY_WORKER_TYPES: %q is named twice", t)
		}
		some = append(some, all[i])
	}
	return some, nil
}
