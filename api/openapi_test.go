package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/google/go-cmp/cmp"
)

// Of NDJSON the description has the list of its lines.
func init() { //nolint:gochecknoinits // the library knows decoders by a list of its own
	openapi3filter.RegisterBodyDecoder("application/x-ndjson",
		func(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
			lines := []any{}
			for d := json.NewDecoder(body); ; {
				var line any
				switch err := d.Decode(&line); {
				case errors.Is(err, io.EOF):
					return lines, nil
				case err != nil:
					return nil, err
				}
				lines = append(lines, line)
			}
		})
}

func TestDescriptionIsValidOpenAPI(t *testing.T) {
	t.Parallel()
	loadSpecification(t)
}

func TestDescriptionHasExactlyTheRoutes(t *testing.T) {
	t.Parallel()
	var described, routed []string
	doc := loadSpecification(t).doc
	for template, item := range doc.Paths.Map() {
		servers := doc.Servers
		if item.Servers != nil {
			servers = item.Servers
		}
		for method := range item.Operations() {
			for _, s := range servers {
				described = append(described, method+" "+strings.TrimSuffix(s.URL, "/")+template)
			}
		}
	}
	for _, route := range new(server).routes().Routes() {
		routed = append(routed, route.Method+" "+bracketed(route.Path))
	}
	slices.Sort(described)
	slices.Sort(routed)
	if diff := cmp.Diff(routed, described); diff != "" {
		t.Errorf("routes (-served +described):\n%s", diff)
	}
}

func TestDescriptionIsServed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, p := range []string{"/api/openapi.yaml", "/s/ops/api/openapi.yaml"} {
		got := b.must(b.send("GET", p, ""), http.StatusOK)
		if got.body != string(openapiYAML) || got.header.Get("Content-Type") != "application/yaml" {
			t.Errorf("GET %s: %d bytes of %s, want the file as it is", p, len(got.body), got.header.Get("Content-Type"))
		}
	}
}

// bracketed spells Echo's path as OpenAPI does: ":id" → "{id}".
func bracketed(template string) string {
	parts := strings.Split(template, "/")
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			parts[i] = "{" + name + "}"
		}
	}
	return strings.Join(parts, "/")
}

// specification holds requests and answers to the description of the API and,
// if Kibana's own is at hand, to that.
type specification struct {
	doc    *openapi3.T
	kibana *openapi3.T // or nil
}

// exchange is one request with its answer and the route that it took.
type exchange struct {
	request  *http.Request
	body     string
	conforms bool // the request is meant to
	template string
	params   map[string]string
	answer   answer
}

var (
	readOwn    = sync.OnceValues(func() (*openapi3.T, error) { return parseSpecification(openapiYAML, true) })
	readKibana = sync.OnceValues(func() (*openapi3.T, error) {
		data, err := os.ReadFile(kibanaFile())
		if err != nil {
			return nil, err
		}
		return parseSpecification(data, false)
	})
)

func parseSpecification(data []byte, examples bool) (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		return nil, err
	}
	if examples {
		return doc, doc.Validate(context.Background(), openapi3.EnableExamplesValidation())
	}
	return doc, doc.Validate(context.Background(), openapi3.DisableExamplesValidation())
}

// kibanaEnv names Kibana's own description, which is not ours to ship.
const kibanaEnv = "PATCHBAY_TEST_KIBANA_OPENAPI"

func kibanaFile() string {
	if file := os.Getenv(kibanaEnv); file != "" {
		return file
	}
	return "../../shared/contracts/kibana-connectors-openapi.yaml"
}

func loadSpecification(t *testing.T) *specification {
	t.Helper()
	doc, err := readOwn()
	if err != nil {
		t.Fatal(err)
	}
	kibana, err := readKibana()
	switch {
	case errors.Is(err, fs.ErrNotExist) && os.Getenv(kibanaEnv) == "":
		t.Logf("answers were not held to Kibana's description; %s names the file", kibanaEnv)
	case err != nil:
		t.Fatalf("Kibana's description: %v", err)
	}
	return &specification{doc: doc, kibana: kibana}
}

// check holds an exchange to the descriptions.
func (s *specification) check(t *testing.T, x exchange) {
	t.Helper()
	template := strings.TrimPrefix(bracketed(x.template), "/s/{space_id}")
	route := find(s.doc, x.request.Method, template)
	if route == nil {
		s.checkUnrouted(t, x)
		return
	}
	if x.conforms {
		if err := openapi3filter.ValidateRequest(t.Context(), input(route, x)); err != nil {
			t.Errorf("%s %s: request: %v", x.request.Method, x.request.URL, err)
		}
	}
	checkAnswer(t, route, x)
	checkEnvelope(t, x, template)
	s.checkKibana(t, x, template)
}

// checkUnrouted holds an answer to a request that has no route to the two that
// it may get.
func (s *specification) checkUnrouted(t *testing.T, x exchange) {
	t.Helper()
	response := map[int]string{http.StatusNotFound: "NotFound", http.StatusMethodNotAllowed: "MethodNotAllowed"}[x.answer.status]
	if response == "" {
		return // a route that the test added
	}
	responses := openapi3.NewResponses(openapi3.WithStatus(x.answer.status, s.doc.Components.Responses[response]))
	checkAnswer(t, &routers.Route{Spec: s.doc, Operation: &openapi3.Operation{Responses: responses}}, x)
	checkEnvelope(t, x, "")
}

// checkKibana holds answers of the routes that Kibana's description has to it.
func (s *specification) checkKibana(t *testing.T, x exchange, template string) {
	t.Helper()
	if s.kibana == nil || !strings.HasPrefix(template, "/api/actions/connector") {
		return
	}
	var fields map[string]any
	if json.Unmarshal([]byte(x.answer.body), &fields) == nil && fields["is_preconfigured"] == true {
		return // the file asks for a config, which Kibana itself does not answer
	}
	if x.request.Method == http.MethodPost && !strings.HasSuffix(template, "/_execute") {
		template = "/api/actions/connector" // an own id and a trailing slash are newer than the file
	}
	route := find(s.kibana, x.request.Method, "/s/{spaceId}"+strings.ReplaceAll(template, "{id}", "{connectorId}"))
	if route == nil {
		t.Errorf("Kibana's description lacks %s %s", x.request.Method, template)
		return
	}
	if route.Operation.Responses.Status(x.answer.status) != nil { // the file leaves many out
		checkAnswer(t, route, x)
	}
}

func checkAnswer(t *testing.T, route *routers.Route, x exchange) {
	t.Helper()
	err := openapi3filter.ValidateResponse(t.Context(), (&openapi3filter.ResponseValidationInput{
		RequestValidationInput: input(route, x), Status: x.answer.status, Header: x.answer.header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}).SetBodyBytes([]byte(x.answer.body)))
	if err != nil {
		t.Errorf("%s %s: answer %d %s: %v", x.request.Method, x.request.URL, x.answer.status, x.answer.body, err)
	}
}

// checkEnvelope sees that an error tells its own status.
func checkEnvelope(t *testing.T, x exchange, template string) {
	t.Helper()
	if x.answer.status < 400 || template == "/readyz" {
		return
	}
	var got errorBody
	if err := json.Unmarshal([]byte(x.answer.body), &got); err != nil {
		t.Errorf("%s %s: %v", x.request.Method, x.request.URL, err)
	}
	if got.StatusCode != x.answer.status || got.Error != http.StatusText(x.answer.status) {
		t.Errorf("%s %s: status %d with envelope %+v", x.request.Method, x.request.URL, x.answer.status, got)
	}
}

func find(doc *openapi3.T, method, template string) *routers.Route {
	item := doc.Paths.Value(template)
	if item == nil || item.GetOperation(method) == nil {
		return nil
	}
	return &routers.Route{Spec: doc, Path: template, PathItem: item, Method: method, Operation: item.GetOperation(method)}
}

func input(route *routers.Route, x exchange) *openapi3filter.RequestValidationInput {
	request := x.request.Clone(context.Background())
	request.Body = io.NopCloser(strings.NewReader(x.body))
	return &openapi3filter.RequestValidationInput{
		Request: request, PathParams: x.params, Route: route,
		Options: &openapi3filter.Options{RejectWhenRequestBodyNotSpecified: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
}
