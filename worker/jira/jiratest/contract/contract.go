// Package contract holds requests and answers against Jira's own OpenAPI
// description, for tests alone.
package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"patchbay.dev/worker/jira/jiratest"
)

// Variable names the environment variable that names the file.
const Variable = "PATCHBAY_TEST_JIRA_OPENAPI"

const file = "shared/contracts/jira-cloud-openapi-subset.json"

// Contract is Jira Cloud's OpenAPI description.
type Contract struct {
	router routers.Router
}

// Load returns the description in the file that PATCHBAY_TEST_JIRA_OPENAPI names.
// Without the variable it looks for shared/contracts/jira-cloud-openapi-subset.json
// beside the project; it returns nil and no error if there is none, so that the
// caller can log that nothing was checked.
func Load() (*Contract, error) {
	path := os.Getenv(Variable)
	if path == "" {
		path = beside()
	}
	if path == "" {
		return nil, nil
	}
	doc, err := openapi3.NewLoader().LoadFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	doc.Servers = nil // any host will do
	for _, schema := range doc.Components.Schemas {
		allowNull(schema)
	}
	router, err := legacy.NewRouter(doc, openapi3.DisableExamplesValidation(), openapi3.DisableSchemaDefaultsValidation())
	if err != nil {
		return nil, fmt.Errorf("understand %s: %w", path, err)
	}
	return &Contract{router}, nil
}

// beside goes up from the working directory to the project, which is where
// go.work is, and looks next to it.
func beside() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			path := filepath.Join(filepath.Dir(dir), file)
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				return ""
			}
			return path
		}
		dir = filepath.Dir(dir)
	}
	return ""
}

// allowNull lets a schema without a type hold null too, as OpenAPI 3.0.3 has it;
// the validator takes "{}" for anything but null.
func allowNull(ref *openapi3.SchemaRef) {
	schema := ref.Value
	if schema.Type == nil && len(schema.AllOf)+len(schema.AnyOf)+len(schema.OneOf) == 0 {
		schema.Nullable = true
	}
	for _, property := range schema.Properties {
		if property.Ref == "" { // else it is met under its own name
			allowNull(property)
		}
	}
	for _, inner := range []*openapi3.SchemaRef{schema.Items, schema.AdditionalProperties.Schema} {
		if inner != nil && inner.Ref == "" {
			allowNull(inner)
		}
	}
}

// Request returns why req breaks the description, or nil. A nil c minds nothing.
func (c *Contract) Request(req jiratest.Request) error {
	if c == nil {
		return nil
	}
	input, err := c.input(req)
	if err != nil {
		return err
	}
	for name := range input.GetQueryParams() {
		if input.Route.Operation.Parameters.GetByInAndName("query", name) == nil {
			return fmt.Errorf("%s %s: the parameter %s is not described", req.Method, req.URI, name)
		}
	}
	if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
		return fmt.Errorf("%s %s: %w", req.Method, req.URI, err)
	}
	return nil
}

// Response returns why an answer to req breaks the description, or nil. A nil c
// minds nothing.
func (c *Contract) Response(req jiratest.Request, status int, header http.Header, body []byte) error {
	if c == nil {
		return nil
	}
	input, err := c.input(req)
	if err != nil {
		return err
	}
	options := *input.Options
	options.ExcludeResponseBody = status == http.StatusNoContent // described as JSON, which nothing is not
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input,
		Status:                 status,
		Header:                 header,
		Options:                &options,
	}
	answer.SetBodyBytes(body)
	if err := openapi3filter.ValidateResponse(context.Background(), answer); err != nil {
		return fmt.Errorf("answer %d to %s %s: %w", status, req.Method, req.URI, err)
	}
	return nil
}

func (c *Contract) input(req jiratest.Request) (*openapi3filter.RequestValidationInput, error) {
	_, path, ok := strings.Cut(req.URI, "/rest/api/")
	if !ok {
		return nil, fmt.Errorf("%s %s: not of the API", req.Method, req.URI)
	}
	r, err := http.NewRequest(req.Method, "http://jira/rest/api/"+path, io.NopCloser(bytes.NewReader(req.Body)))
	if err != nil {
		return nil, err
	}
	r.Header = req.Header.Clone()
	r.ContentLength = int64(len(req.Body))
	route, parameters, err := c.router.FindRoute(r)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", req.Method, req.URI, err)
	}
	return &openapi3filter.RequestValidationInput{
		Request:    r,
		PathParams: parameters,
		Route:      route,
		Options: &openapi3filter.Options{
			IncludeResponseStatus:             true,
			RejectWhenRequestBodyNotSpecified: true,
			AuthenticationFunc:                openapi3filter.NoopAuthenticationFunc,
			SkipSettingDefaults:               true,
			SchemaValidationOptions: []openapi3.SchemaValidationOption{
				openapi3.EnableFormatValidation(),
				openapi3.WithStringFormatValidator("date-time", openapi3.NewCallbackValidator(dateTime)),
			},
		},
	}, nil
}

// dateTime takes what Jira's own examples have, an offset without a colon, beside
// what the format allows.
func dateTime(value string) error {
	if _, err := time.Parse(time.RFC3339, value); err == nil {
		return nil
	}
	_, err := time.Parse("2006-01-02T15:04:05.000-0700", value)
	return err
}
