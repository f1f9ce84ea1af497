package api

import (
	"net/http"
	"testing"
)

const (
	indexType = `{"id":".index","name":"Index","enabled":true,"enabled_in_config":true,"enabled_in_license":true,
		"minimum_license_required":"basic","supported_feature_ids":["alerting","uptime","siem"],"is_system_action_type":false}`
	serverLogType = `{"id":".server-log","name":"Server log","enabled":true,"enabled_in_config":true,"enabled_in_license":true,
		"minimum_license_required":"basic","supported_feature_ids":["alerting","uptime","siem"],"is_system_action_type":false}`
	jiraType = `{"id":".jira","name":"Jira","enabled":true,"enabled_in_config":true,"enabled_in_license":true,
		"minimum_license_required":"gold","supported_feature_ids":["alerting","cases","uptime","siem"],"is_system_action_type":false}`
)

func TestTypesAreListed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := "[" + indexType + "," + serverLogType + "," + jiraType + "]"
	for query, want := range map[string]string{
		"":                     all,
		"?feature_id=alerting": all,
		"?feature_id=siem":     all,
		"?feature_id=cases":    "[" + jiraType + "]",
	} {
		b.wantAnswer(b.send("GET", "/api/actions/connector_types"+query, ""), http.StatusOK, want)
		b.wantAnswer(b.send("GET", "/s/ops/api/actions/connector_types"+query, ""), http.StatusOK, want)
	}
	b.wantAnswer(b.send("GET", "/api/actions/connector_types?feature_id=nope", ""), http.StatusOK, `[]`)
	b.wantAnswer(b.sendBad("GET", "/api/actions/connector_types?feature_id=", ""), http.StatusOK, `[]`)
}

func TestTypesRefuseAnUnknownQuery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.wantError(b.send("GET", "/api/actions/connector_types?z=1&foo=1", ""), http.StatusBadRequest,
		"[request query.foo]: definition for this key is missing")
	b.wantError(b.sendBad("GET", "/api/actions/connector_types?feature_id=a&feature_id=b", ""), http.StatusBadRequest,
		"[request query.feature_id]: expected value of type [string] but got [Array]")
}
