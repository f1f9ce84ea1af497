package api

import (
	"flag"
	"log/slog"
	"time"

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

	Hosts connector.Hosts // where connectors may lead
	// SealKey is what secrets are sealed to; nil: connectors with secrets are refused.
	SealKey *setting.File[*seal.PublicKey]
	// LookupEnv is os.LookupEnv, for secrets of preconfigured connectors; nil for an
	// empty environment.
	LookupEnv func(string) (string, bool)

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
}

// scheme returns the scheme of the API's URLs.
func (c *Config) scheme() string {
	if c.TLSCertFile != "" {
		return "https"
	}
	return "http"
}
