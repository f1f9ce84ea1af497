// Package index executes ".index" connectors: it writes documents to
// Elasticsearch with _bulk requests, which executions share under load.
package index

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/elastic/go-elasticsearch/v8"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/outbound"
	"patchbay.dev/worker/pool"
)

// Config names the cluster. Without a URL every execution is refused.
type Config struct {
	URL      string // http or https, without credentials
	APIKey   string // base64 of id:key, as Elasticsearch encodes it
	Username string // instead of an API key
	Password string
	CAFile   string // PEM; "" for the system's authorities
	Batching Batching
}

// Limits of the connection to the cluster. The answer itself may take as long as
// the execution.
const (
	dialTimeout  = 10 * time.Second
	idleTimeout  = 90 * time.Second
	maxIdleConns = 256 // kept open; far more than a worker's slots
	// bulkBuffer is what a connection that carries bulks reads and writes at once, in
	// bytes: net/http's 4 KiB make three writes of most.
	bulkBuffer = 64 << 10
)

const patience = time.Second // a bulk usually takes milliseconds

type bulkJob = pool.Job[connector.IndexConfig, connector.None, connector.IndexParams]

// Executor writes to one cluster. It is safe for concurrent use.
type Executor struct {
	layer       *outbound.Layer
	client      *elasticsearch.BaseClient // nil without a cluster
	host        string                    // of the cluster, as the layer names it
	transport   *http.Transport
	redactor    *strings.Replacer
	maxResponse int64
	now         func() time.Time
	wait        func(ctx context.Context, d time.Duration) error // until a document is sent again
	patience    time.Duration                                    // with a bulk in flight, before others leave

	batching         Batching
	batches, refresh *batcher // of executions without and with refresh
	counters         counters

	mu    sync.Mutex     // of both batchers
	limit outbound.Limit // of bulks in flight, with refresh and without each
	until time.Time      // the cluster wants no requests before; zero once it is over
}

// New returns an Executor that reads at most maxResponse bytes of an answer, and
// shares what the cluster asks for through layer. The error names the setting that
// is wrong.
func New(layer *outbound.Layer, config Config, maxResponse int64) (*Executor, error) {
	e := &Executor{layer: layer, redactor: config.redactor(), maxResponse: maxResponse, now: time.Now, wait: wait, patience: patience}
	e.limit = outbound.NewLimit(config.Batching.InFlight, config.Batching.InFlight)
	e.batching, e.batches, e.refresh = config.Batching, newBatcher(e, false), newBatcher(e, true)
	e.transport = &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout: dialTimeout,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		MaxIdleConns:        maxIdleConns,
		MaxIdleConnsPerHost: maxIdleConns,
		IdleConnTimeout:     idleTimeout,
		DisableCompression:  true, // the answer is passed on as it is
	}
	if config.Batching.On { // few connections, which each carry much
		e.transport.WriteBufferSize, e.transport.ReadBufferSize = bulkBuffer, bulkBuffer
	}
	if config.URL == "" {
		return e, nil
	}
	u, err := config.check()
	if err != nil {
		return nil, err
	}
	if config.CAFile != "" {
		// Not by the client's CACert: it would use a copy of the transport, which
		// Close does not reach.
		authorities, err := readAuthorities(config.CAFile)
		if err != nil {
			return nil, fmt.Errorf("PATCHBAY_ELASTICSEARCH_CA_FILE: %w", err)
		}
		e.transport.TLSClientConfig.RootCAs = authorities
	}
	client, err := elasticsearch.NewBaseClient(elasticsearch.Config{
		Addresses:         []string{config.URL},
		APIKey:            config.APIKey,
		Username:          config.Username,
		Password:          config.Password,
		Transport:         e.transport,
		DisableRetry:      true, // a second _bulk after a lost answer writes the documents twice
		DisableMetaHeader: true,
	})
	if err != nil {
		return nil, fmt.Errorf("PATCHBAY_ELASTICSEARCH_URL: %w", err)
	}
	e.client, e.host = client, outbound.HostOf(u)
	layer.Watch(connector.Index.ID, e.host, e.pause)
	return e, nil
}

// check returns the URL of the cluster.
func (c Config) check() (*url.URL, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		return nil, errors.New("PATCHBAY_ELASTICSEARCH_URL: it is not a URL") // the error would repeat it, password and all
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, errors.New("PATCHBAY_ELASTICSEARCH_URL: an http or https URL with a host is expected")
	case u.User != nil:
		return nil, errors.New("PATCHBAY_ELASTICSEARCH_URL: put the credentials into PATCHBAY_ELASTICSEARCH_USERNAME and _PASSWORD")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("PATCHBAY_ELASTICSEARCH_URL: no query and no fragment is expected")
	case (c.Username == "") != (c.Password == ""):
		return nil, errors.New("PATCHBAY_ELASTICSEARCH_USERNAME and _PASSWORD: set both or none")
	case c.APIKey != "" && c.Username != "":
		return nil, errors.New("PATCHBAY_ELASTICSEARCH_API_KEY and _USERNAME: set one of them")
	case strings.ContainsFunc(c.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("PATCHBAY_ELASTICSEARCH_API_KEY: it holds a blank, a line break or another sign that base64 has not")
	default:
		return u, nil
	}
}

func readAuthorities(file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(data) {
		return nil, errors.New("there is no certificate in " + file)
	}
	return authorities, nil
}

// Close ends what waits for its turn and closes idle connections to the cluster.
// It returns when no bulk is under way.
func (e *Executor) Close() {
	e.batches.close()
	e.refresh.close()
	e.transport.CloseIdleConnections()
}

// Execute writes the documents of the params and returns the cluster's own
// answer to the _bulk request, as far as it concerns these documents. An error is
// a *[wire.Failure], or [pool.ErrBusy] if nothing was sent since too much waits.
func (e *Executor) Execute(ctx context.Context, job bulkJob) (json.RawMessage, error) {
	answer, err := e.write(ctx, job)
	if failure, ok := errors.AsType[*wire.Failure](err); ok {
		failure.ServiceMessage = e.redactor.Replace(failure.ServiceMessage)
	}
	return answer, err
}

func (e *Executor) write(ctx context.Context, job bulkJob) (json.RawMessage, error) {
	target := job.Config.Index
	if override := job.Params.IndexOverride; override != nil {
		target = string(*override)
	}
	if err := checkName(target); err != nil {
		return nil, refused(err.Error())
	}
	// Before anything else, so that it tells nothing of the cluster.
	if err := checkAccess(job.Access, target, len(job.Params.Documents)); err != nil {
		return nil, err
	}
	if e.client == nil {
		failure := refused("no Elasticsearch cluster is configured: set PATCHBAY_ELASTICSEARCH_URL for the worker")
		failure.Source = wire.Framework
		failure.Retry = wire.RetryLater() // by a worker that has one
		return nil, failure
	}
	timeField := ""
	if name := job.Config.ExecutionTimeField; name != nil {
		timeField = strings.TrimSpace(*name)
	}
	x := &execution{target, job.Params.Documents, timeField, e.now(), job.Attempt, idsOf(job)}
	var r result
	if e.batching.On {
		r = e.persist(ctx, x, job.Config.Refresh)
	} else {
		r = e.unbatched(ctx, x, job.Config.Refresh)
	}
	if r = e.settle(x, r); r.err != nil {
		return nil, r.err
	}
	return r.data, nil
}
