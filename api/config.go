package api

import (
	"flag"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
)

// Config configures [Run].
type Config struct {
	Addr             string        // where the API listens
	DataDir          string        // directory of the database
	ConfigFile       string        // YAML file with preconfigured connectors; "" for none
	ExecuteTimeout   time.Duration // deadline of one execution
	MaxBody          int64         // bytes of a request body
	MaxConnectors    int           // stored connectors per space
	MaxKeys          int           // API keys
	MaxRate          int           // requests a second of one API key
	MaxRunning       int           // executions of one API key at the same time
	MaxInFlight      int           // executions of everyone at the same time; 0 for no bound
	MaxInFlightBytes int64         // bytes of their requests; 0 for no bound
	AuthOff          bool          // nobody needs a key
	AuditFile        string        // where the audit log goes; "-" for standard output, "" for nowhere
	Audit            slog.Handler  // where it goes instead of a file; nil for none
	Program          string        // how users call the program that has the command "keys"
	MaxSpaces        int           // spaces that are kept
	TLSCertFile      string        // PEM file of the certificate and its chain; "" for plain HTTP
	TLSKeyFile       string        // PEM file of its private key
	HeaderTimeout    time.Duration // how long the header of a request may take
	ReadTimeout      time.Duration // how long its body may take
	WriteTimeout     time.Duration // how long a client may take to receive an answer
	IdleTimeout      time.Duration // how long a connection may wait for the next request
	MaxHeader        int64         // bytes of a header, and a few KiB more
	ShutdownTimeout  time.Duration // how long requests in flight may last once it stops

	MaxQueued             int           // executions that wait or run in the queue; 0 for the ledger's default, as below
	MaxQueuedPerConnector int           // of one connector
	QueueSlots            int           // of them that run at once
	QueueBytes            int64         // bytes of the params of those that run
	Attempts              int           // of an execution, where its type says nothing else
	RetryDelay            time.Duration // before a second attempt, at most
	MaxRetryDelay         time.Duration // before a further one, at most
	QueueMaxAge           time.Duration // how old an execution may be when an attempt begins
	IdempotencyAge        time.Duration // how long an idempotency key is known
	LogAge                time.Duration // how long executions that ended are kept
	LogCount              int           // how many of them are kept
	LogOff                bool          // executions that are answered at once are not kept
	DeadLetterAge         time.Duration // how long dead letters are kept
	DeadLetterParamsOff   bool          // without their params, so that they cannot be replayed
	StreamReplicas        int           // copies of each stream that the broker keeps
	MaxSubmitted          int64         // bytes that the stream of submissions may hold

	Hosts connector.Hosts // where connectors may lead
	// SealKey is what secrets are sealed to; nil: connectors with secrets are refused.
	SealKey *setting.File[*seal.PublicKey]
	// LookupEnv is os.LookupEnv, for secrets of preconfigured connectors; nil for an
	// empty environment.
	LookupEnv func(string) (string, bool)

	// Metrics gets the metrics of the api; nil: nothing is counted.
	Metrics prometheus.Registerer

	// Ready, if not nil, is called once with the URL that listens.
	Ready func(url string)
}

// Flags declares the settings of the api, with their defaults. Those that the
// worker of an all-in-one shares (ShutdownTimeout, Hosts, the key) are declared by
// the program.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Addr, "http-addr", "127.0.0.1:5601", "address where the API listens")
	fs.StringVar(&c.DataDir, "data-dir", "./data", "directory of the SQLite file")
	fs.StringVar(&c.ConfigFile, "config", "", "YAML file with preconfigured connectors")
	setting.Duration(fs, &c.ExecuteTimeout, "execute-timeout", "60s", "deadline of one execution")
	setting.Bytes(fs, &c.MaxBody, "max-body", "8MiB", "size of a request body")
	setting.Choice(fs, &c.AuthOff, "auth", "on", "off to serve everyone without an API key, on or off", map[string]bool{"on": false, "off": true})
	setting.Count(fs, &c.MaxKeys, "max-keys", "10000", "API keys that there may be")
	setting.Count(fs, &c.MaxRate, "max-rate", "10000", "requests a second that one API key may send")
	setting.Count(fs, &c.MaxRunning, "max-running", "1000", "executions that one API key may have running at once")
	setting.Count(fs, &c.MaxInFlight, "max-in-flight", "4096", "executions that the api has in flight at once")
	setting.Bytes(fs, &c.MaxInFlightBytes, "max-in-flight-bytes", "256MiB", "size of their requests together")
	fs.StringVar(&c.AuditFile, "audit-file", "", "file of the audit log; - for standard output")
	setting.Count(fs, &c.MaxConnectors, "max-connectors", "10000", "stored connectors in one space")
	setting.Count(fs, &c.MaxSpaces, "max-spaces", "1000", "spaces that are kept, the default one included")
	fs.StringVar(&c.TLSCertFile, "tls-cert-file", "", "PEM file of the certificate with which the API speaks TLS")
	fs.StringVar(&c.TLSKeyFile, "tls-key-file", "", "PEM file of the certificate's private key")
	setting.Duration(fs, &c.HeaderTimeout, "header-timeout", "10s", "how long the header of a request may take")
	setting.Duration(fs, &c.ReadTimeout, "read-timeout", "60s", "how long the body of a request may take")
	setting.Duration(fs, &c.WriteTimeout, "write-timeout", "60s", "how long a client may take to receive an answer")
	setting.Duration(fs, &c.IdleTimeout, "idle-timeout", "2m", "how long a connection may wait for the next request")
	setting.Bytes(fs, &c.MaxHeader, "max-header", "64KiB", "size of the header of a request")
	c.durableFlags(fs)
}

// durableFlags declares what concerns executions that are kept.
func (c *Config) durableFlags(fs *flag.FlagSet) {
	setting.Count(fs, &c.MaxQueued, "max-queued", "1000000", "executions that the queue holds")
	setting.Count(fs, &c.MaxQueuedPerConnector, "max-queued-per-connector", "200000", "executions of one connector that the queue holds")
	setting.Count(fs, &c.QueueSlots, "queue-slots", "512", "executions of the queue that run at once")
	setting.Bytes(fs, &c.QueueBytes, "queue-bytes", "64MiB", "size of the params of those that run")
	setting.Count(fs, &c.Attempts, "attempts", "3", "attempts of a queued execution, unless its type says otherwise")
	setting.Duration(fs, &c.RetryDelay, "retry-delay", "10s", "longest delay before a second attempt; twice as long before each further one")
	setting.Duration(fs, &c.MaxRetryDelay, "max-retry-delay", "1h", "longest delay before any attempt, unless the destination asks for more")
	setting.Duration(fs, &c.QueueMaxAge, "queue-max-age", "24h", "how old a queued execution may be when an attempt begins")
	setting.Duration(fs, &c.IdempotencyAge, "idempotency-age", "24h", "how long an Idempotency-Key is known")
	setting.Choice(fs, &c.LogOff, "execution-log", "on", "off to keep nothing of executions that are answered at once, on or off", map[string]bool{"on": false, "off": true})
	setting.Duration(fs, &c.LogAge, "log-age", "720h", "how long executions that ended are kept")
	setting.Count(fs, &c.LogCount, "log-count", "1000000", "executions that ended and are kept")
	setting.Duration(fs, &c.DeadLetterAge, "dead-letter-age", "720h", "how long dead letters are kept")
	setting.Choice(fs, &c.DeadLetterParamsOff, "dead-letter-params", "sealed", "off to keep dead letters without their params, sealed or off", map[string]bool{"sealed": false, "off": true})
	setting.Count(fs, &c.StreamReplicas, "stream-replicas", "1", "copies of each stream that the broker keeps")
	setting.Bytes(fs, &c.MaxSubmitted, "max-submitted", "256MiB", "size of what waits in the stream of submissions")
}

// scheme returns the scheme of the API's URLs.
func (c *Config) scheme() string {
	if c.TLSCertFile != "" {
		return "https"
	}
	return "http"
}
