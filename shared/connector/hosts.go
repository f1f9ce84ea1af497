package connector

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Hosts are the host names that connectors may reach: exact names, ports do not
// count, "*" for all. Kibana's xpack.actions.allowedHosts. Nil allows none.
type Hosts []string

// AllHosts allows every host.
func AllHosts() Hosts { return Hosts{"*"} }

// Check returns nil if the host of a URL is allowed, and otherwise Kibana's
// sentence with the name of our setting.
func (h Hosts) Check(rawURL string) error {
	if slices.Contains(h, "*") {
		return nil
	}
	if u, err := url.Parse(rawURL); err == nil && u.Hostname() != "" && h.has(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("target url %q is not added to the Patchbay config PATCHBAY_ALLOWED_HOSTS", rawURL)
}

func (h Hosts) has(name string) bool {
	return slices.ContainsFunc(h, func(allowed string) bool { return strings.EqualFold(allowed, name) })
}
