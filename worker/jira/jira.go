// Package jira executes ".jira" connectors: it creates, updates and comments on
// issues of Jira Cloud and Data Center, and reads what a form for them needs.
package jira

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	gojira "github.com/andygrunwald/go-jira"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/outbound"
	"patchbay.dev/worker/pool"
)

type jiraJob = pool.Job[connector.JiraConfig, connector.JiraSecrets, connector.JiraParams]

// Executor runs executions against any Jira. It is safe for concurrent use.
type Executor struct {
	layer     *outbound.Layer
	client    *http.Client
	search    searches
	ledger    *ledger
	redactors redactors
	now       func() time.Time
}

// New returns an Executor that reaches Jira through layer.
func New(layer *outbound.Layer) *Executor {
	return &Executor{layer: layer, client: layer.Client(), ledger: newLedger(), now: time.Now}
}

// Execute runs the sub-action of the params and returns what Kibana 8.19 returns
// for it. An error is a *[wire.Failure] with Kibana's text as the service message
// and without any of the secrets.
func (e *Executor) Execute(ctx context.Context, job jiraJob) (json.RawMessage, error) {
	data, err := e.run(ctx, job)
	if err == nil {
		answer, err := wire.Encode(data)
		return e.redactors.withoutSecrets(job.Secrets, answer), err
	}
	if errors.Is(err, outbound.ErrFull) {
		return nil, pool.ErrBusy
	}
	failure, ok := errors.AsType[*wire.Failure](err)
	if !ok {
		failure = never(err.Error())
	}
	failure.ServiceMessage = e.redactors.of(job.Secrets).Replace(failure.ServiceMessage)
	return nil, failure
}

func (e *Executor) run(ctx context.Context, job jiraJob) (any, error) {
	s, err := e.open(ctx, job)
	if err != nil {
		return nil, err
	}
	defer s.leave()
	switch action := job.Params.Action.(type) {
	case *connector.JiraPushToService:
		return s.push(ctx, job)
	case *connector.JiraGetIncident:
		return s.incident(ctx, action.Params.ExternalID)
	case *connector.JiraIssue:
		return s.issue(ctx, action.Params.ID)
	case *connector.JiraIssues:
		return s.issues(ctx, action.Params.Title)
	case *connector.JiraIssueTypes:
		return s.issueTypes(ctx)
	case *connector.JiraFieldsByIssueType:
		return s.fields(ctx, action.Params.ID)
	case *connector.JiraGetFields:
		return s.commonFields(ctx)
	case *connector.JiraHandshake:
		return nil, never("[Action][ExternalService] subAction handshake not implemented.")
	default:
		return nil, fmt.Errorf("params of an unknown kind: %T", action)
	}
}

// session is one Jira as one execution sees it.
type session struct {
	*Executor
	jira    *gojira.Client
	apiURL  string // without a slash at its end
	project string
	secrets connector.JiraSecrets
	leave   func()        // of the layer
	timeout time.Duration // what the execution had when it began; 0 for no end
	read    atomic.Int64  // bytes of all answers
}

func (e *Executor) open(ctx context.Context, job jiraJob) (*session, error) {
	config, secrets := job.Config, job.Secrets
	if config.APIURL == "" || config.ProjectKey == "" || secrets.Email == "" || secrets.APIToken == "" {
		return nil, never("[Action]Jira: Wrong configuration.")
	}
	apiURL := strings.TrimSuffix(config.APIURL, "/") // one, as Kibana
	u, err := e.layer.CheckURL(apiURL)
	if err != nil {
		return nil, never("[Action][Jira]: " + err.Error())
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, never("[Action][Jira]: apiUrl must have no query and no fragment")
	}
	client, err := gojira.NewClient(e.client, apiURL+"/")
	if err != nil {
		return nil, never("[Action][Jira]: " + err.Error())
	}
	leave, err := e.layer.Enter(connector.Jira.ID, u)
	if err != nil {
		return nil, turnedAway(err)
	}
	s := &session{Executor: e, leave: leave, jira: client, apiURL: apiURL, project: config.ProjectKey, secrets: secrets}
	if deadline, ok := ctx.Deadline(); ok {
		s.timeout = time.Until(deadline)
	}
	return s, nil
}
