package worker

import (
	"flag"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
	"patchbay.dev/worker/index"
)

// Config configures [Run].
type Config struct {
	Slots            int             // executions at once
	DestinationSlots int             // executions at once that lead to one destination
	Types            []string        // connector types to serve; "all" for every one
	Index            index.Config    // the cluster that ".index" writes to
	MaxResponse      int64           // bytes of a destination's answer
	Hosts            connector.Hosts // where connectors may lead, by name
	CIDRs            []netip.Prefix  // where they may lead though it is blocked by default, by address
	ShutdownTimeout  time.Duration   // how long running executions may last once it stops

	// Name is told in every reply; "" for one that is made of the host's.
	Name string

	// Ring opens secrets and params; nil: connectors with secrets are refused.
	Ring *setting.File[*seal.Ring]

	// Metrics gets the metrics of the worker; nil: nothing is counted.
	Metrics prometheus.Registerer

	// Ready, if not nil, is called once when executions can arrive.
	Ready func()
}

// Flags declares the settings of the worker, with their defaults. Those that the
// api of an all-in-one shares (ShutdownTimeout, Hosts) and the key are declared by
// the program.
func (c *Config) Flags(fs *flag.FlagSet) {
	setting.Count(fs, &c.Slots, "worker-slots", "2048", "executions that one worker runs at once")
	setting.Count(fs, &c.DestinationSlots, "destination-slots", "1024", "executions that one worker runs at once to one destination")
	setting.List(fs, &c.Types, "worker-types", "all", "connector types that this worker serves, with commas: .index,.server-log")
	setting.Bytes(fs, &c.MaxResponse, "max-response", "1MiB", "size of a destination's answer")
	setting.Prefixes(fs, &c.CIDRs, "allowed-cidrs", "", "address ranges that connectors may reach although blocked, with commas: 127.0.0.0/8")
	fs.StringVar(&c.Index.URL, "elasticsearch-url", "", "URL of the cluster that .index connectors write to")
	fs.StringVar(&c.Index.APIKey, "elasticsearch-api-key", "", "API key for the cluster, as Elasticsearch encodes it")
	fs.StringVar(&c.Index.Username, "elasticsearch-username", "", "user for the cluster, instead of an API key")
	fs.StringVar(&c.Index.Password, "elasticsearch-password", "", "password for the cluster")
	fs.StringVar(&c.Index.CAFile, "elasticsearch-ca-file", "", "PEM file of the authority that signed the cluster's certificate")
	batching := &c.Index.Batching
	setting.Choice(fs, &batching.On, "bulk-batching", "on", "off to send every .index execution in a request of its own, on or off", map[string]bool{"on": true, "off": false})
	setting.Count(fs, &batching.InFlight, "bulk-in-flight", "4", "_bulk requests at once, with refresh and without each; what comes meanwhile leaves together")
	setting.Bytes(fs, &batching.Bytes, "bulk-bytes", "8MiB", "size of a _bulk request for several executions")
	setting.Count(fs, &batching.Documents, "bulk-documents", "5000", "documents in a _bulk request for several executions")
	setting.Bytes(fs, &batching.Queue, "bulk-queue", "64MiB", "size of the .index executions that wait; more are answered busy")
}
