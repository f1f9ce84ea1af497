package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// stage is where a benchmark takes place: the programs that it starts, which all
// end with it.
type stage struct {
	config
	id       string // of the benchmark
	dir      string // with the binaries
	progress io.Writer
	running  []*process
}

// start starts a program and returns when it is ready.
func (s *stage) start(ctx context.Context, program string, settings ...string) (*process, error) {
	diagnostics := ""
	if s.profiles != "" && slices.Contains([]string{"allinone", "api", "worker"}, program) {
		setting, address, err := profiling()
		if err != nil {
			return nil, err
		}
		settings, diagnostics = append(settings, setting), address
	}
	p, err := launch(ctx, filepath.Join(s.dir, program), settings, program == "api" || program == "worker")
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	p.diagnostics = diagnostics
	s.running = append(s.running, p)
	return p, nil
}

// stop stops one of the programs.
func (s *stage) stop(p *process) error {
	s.running = slices.DeleteFunc(s.running, func(each *process) bool { return each == p })
	return p.stop()
}

// end stops all programs, the youngest first.
func (s *stage) end() error {
	var errs []error
	for _, p := range slices.Backward(s.running) {
		errs = append(errs, p.stop())
	}
	s.running = nil
	return errors.Join(errs...)
}

// product starts the all-in-one with an empty data directory.
func (s *stage) product(ctx context.Context, settings ...string) (*process, error) {
	data, err := os.MkdirTemp(s.dir, "data-")
	if err != nil {
		return nil, err
	}
	return s.start(ctx, "allinone", append(settings,
		"PATCHBAY_HTTP_ADDR=127.0.0.1:0",
		"PATCHBAY_DATA_DIR="+data,
		"PATCHBAY_LOG_FORMAT=json", // as the floor's
	)...)
}

// parts is Patchbay as separate programs: a broker, an api and workers.
type parts struct {
	broker, api *process
	workers     []*process
	data        string // directory of the api
}

func (s *stage) parts(ctx context.Context, settings ...string) (*parts, error) {
	data, err := os.MkdirTemp(s.dir, "data-")
	if err != nil {
		return nil, err
	}
	p := parts{data: data}
	if p.broker, err = s.start(ctx, "broker"); err != nil {
		return nil, err
	}
	p.api, err = s.start(ctx, "api", append(settings, "PATCHBAY_HTTP_ADDR=127.0.0.1:0", "PATCHBAY_DATA_DIR="+data,
		"PATCHBAY_LOG_FORMAT=json", "PATCHBAY_NATS_URL=nats://"+p.broker.address)...)
	return &p, err
}

// addWorker starts one more worker.
func (s *stage) addWorker(ctx context.Context, p *parts, settings ...string) error {
	w, err := s.start(ctx, "worker", append(settings, "PATCHBAY_LOG_FORMAT=json", "PATCHBAY_NATS_URL=nats://"+p.broker.address)...)
	if err == nil {
		p.workers = append(p.workers, w)
	}
	return err
}

// all returns the processes of all parts.
func (p *parts) all() []*process { return append([]*process{p.broker, p.api}, p.workers...) }

// What a connector of each type is, and how it is run.
const (
	connectorPath = "/api/actions/connector/"

	logConnector   = `{"name":"Benchmark","connector_type_id":".server-log"}`
	indexConnector = `{"name":"Benchmark","connector_type_id":".index","config":{"index":"bench"}}`

	logParams = `{"params":{"level":"info","message":"High CPU on web-3: 97 % for 10 minutes (threshold 90 %), see the runbook"}}`
	document  = `{"message":"High CPU on web-3: 97 % for 10 minutes (threshold 90 %), see the runbook","host":"web-3","value":97}`
)

// documents returns the params of an execution that writes n documents.
func documents(n int) string {
	return `{"params":{"documents":[` + strings.TrimSuffix(strings.Repeat(document+",", n), ",") + `]}}`
}

// post sends one request, of which nothing is measured.
func post(ctx context.Context, p *process, path, body string) error {
	_, err := send(ctx, p, path, "application/json", body)
	return err
}

// send is post of another media type, and returns the answer.
func send(ctx context.Context, p *process, path, mediaType, body string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, startLimit)
	defer stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.address+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", mediaType)
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s %s: %s: %s", p.name, path, response.Status, answer)
	}
	return string(answer), nil
}
