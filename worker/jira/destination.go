package jira

import (
	"encoding/json"
	"net/url"

	"patchbay.dev/worker/outbound"
)

// Destination names the Jira that a connector's config leads to: host and port.
// It is "" for a config that cannot be run.
func Destination(config json.RawMessage) string {
	var c struct {
		APIURL string `json:"apiUrl"`
	}
	if json.Unmarshal(config, &c) != nil {
		return ""
	}
	u, err := url.Parse(c.APIURL)
	if err != nil || u.Host == "" {
		return ""
	}
	return outbound.HostOf(u)
}
