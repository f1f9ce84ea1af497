package connector

import (
	"strings"

	"patchbay.dev/shared/schema"
)

// Index writes documents to an Elasticsearch index or data stream. Source:
// Kibana 8.19 stack connector ".index".
var Index = Type[IndexConfig, None, IndexParams]{
	About: About{
		ID:       ".index",
		Name:     "Index",
		License:  "basic",
		Features: []string{"alerting", "uptime", "siem"},
	},
	// The documents of an execution that is on record have ids made of its own, so
	// that the cluster refuses those that it has.
	Repeat: func(IndexParams) Policy { return Policy{Safe: true} },
}

// IndexConfig is the config of an ".index" connector.
type IndexConfig struct {
	Index   string `json:"index"` // checked by the worker, not on save: Kibana takes any string
	Refresh bool   `json:"refresh" default:"false"`
	// ExecutionTimeField names a top-level field that is set to the time of the
	// execution in every document; nil or blank for none.
	ExecutionTimeField *string `json:"executionTimeField"`
}

// IndexParams are the params of one ".index" execution.
type IndexParams struct {
	Documents []schema.Record `json:"documents"` // as sent, may be none
	// IndexOverride replaces the connector's index when it is not nil.
	IndexOverride *AlertHistoryIndex `json:"indexOverride"`
}

// AlertHistoryPrefix begins the name of every index that an execution may
// choose instead of its connector's.
const AlertHistoryPrefix = "kibana-alert-history-"

// AlertHistoryIndex is the name of an index that begins with [AlertHistoryPrefix].
type AlertHistoryIndex string

// Check implements [schema.Checker].
func (i AlertHistoryIndex) Check() string {
	if !strings.HasPrefix(string(i), AlertHistoryPrefix) {
		return `index must start with "` + AlertHistoryPrefix + `"`
	}
	return ""
}
