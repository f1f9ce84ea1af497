package api

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"golang.org/x/text/collate"
	"golang.org/x/text/language"

	"patchbay.dev/api/store"
	"patchbay.dev/shared/schema"
)

// connectorID is what an id that a client chooses may be. Kibana 8.19 takes any
// string; one that needs escaping in a path only brings trouble.
var connectorID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

const idRule = "a connector id has 1 to 64 letters, digits, hyphens, underscores and dots and begins with a letter or digit"

// connectorName is the name of a connector. Kibana takes any string that is not
// blank; a NUL is not text for every database and client.
type connectorName string

// Check implements [schema.Checker].
func (n connectorName) Check() string {
	if strings.ContainsRune(string(n), 0) {
		return "value has a NUL character"
	}
	return ""
}

// createBody is the body of a create; the legacy one names the type otherwise
// and lets blank strings pass.
type createBody struct {
	Name    connectorName `json:"name" blank:"no"`
	TypeID  string        `json:"connector_type_id" blank:"no"`
	Config  schema.Record `json:"config" default:"{}" blank:"no"`
	Secrets schema.Record `json:"secrets" default:"{}" blank:"no"`
}

type legacyCreateBody struct {
	Name    connectorName `json:"name"`
	TypeID  string        `json:"actionTypeId"`
	Config  schema.Record `json:"config" default:"{}"`
	Secrets schema.Record `json:"secrets" default:"{}"`
}

type updateBody struct {
	Name    connectorName `json:"name" blank:"no"`
	Config  schema.Record `json:"config" default:"{}" blank:"no"`
	Secrets schema.Record `json:"secrets" default:"{}" blank:"no"`
}

func (s *server) readCreate(c echo.Context) (createBody, error) {
	var body createBody
	if id := param(c, "id"); id != "" && !connectorID.MatchString(id) {
		return body, badRequest("[request params.id]: " + idRule)
	}
	err := s.readBody(c, &body)
	return body, err
}

func (s *server) readLegacyCreate(c echo.Context) (createBody, error) {
	var body legacyCreateBody
	err := s.readBody(c, &body)
	return createBody(body), err
}

// create stores a new connector, with the id in the path or a new UUID.
func (s *server) create(d dialect) func(echo.Context, createBody) error {
	return func(c echo.Context, body createBody) error {
		id := param(c, "id")
		if id == "" {
			id = uuid.NewString()
		}
		about(c, object{toCreate.event, space(c), id})
		if s.preconfigured[id] != nil {
			return createsPreconfigured(id)
		}
		stored, err := s.saveNew(c.Request().Context(), space(c), id, body)
		if err != nil {
			return err
		}
		return writeJSON(c, http.StatusOK, d.connector(present(stored)))
	}
}

func (s *server) saveNew(ctx context.Context, space, id string, body createBody) (*store.Connector, error) {
	defer s.rotation.saving.enter()()
	config, sealed, err := s.keeper.keep(space, id, body.TypeID, body.Config, body.Secrets)
	if err != nil {
		return nil, err
	}
	return s.store.Create(ctx, store.Connector{
		ID: id, Space: space, Type: body.TypeID, Name: string(body.Name), Config: config, Secrets: sealed,
	})
}

// get answers with one connector.
func (s *server) get(d dialect) echo.HandlerFunc {
	return func(c echo.Context) error {
		if p := s.preconfigured[param(c, "id")]; p != nil {
			return writeJSON(c, http.StatusOK, d.connector(p.present()))
		}
		stored, err := s.store.Get(c.Request().Context(), space(c), param(c, "id"))
		if err != nil {
			return err
		}
		return writeJSON(c, http.StatusOK, d.connector(present(stored)))
	}
}

// list answers with all connectors of the space and the preconfigured ones.
func (s *server) list(d dialect) echo.HandlerFunc {
	return func(c echo.Context) error {
		stored, err := s.store.List(c.Request().Context(), space(c))
		if err != nil {
			return err
		}
		bodies := make([]connectorBody, 0, len(stored)+len(s.preconfigured))
		for _, each := range stored {
			if s.preconfigured[each.ID] == nil { // a preconfigured one hides it everywhere
				bodies = append(bodies, present(each))
			}
		}
		for _, id := range slices.Sorted(maps.Keys(s.preconfigured)) {
			bodies = append(bodies, s.preconfigured[id].present())
		}
		sortByName(bodies)
		answer := make([]any, len(bodies))
		for i, body := range bodies {
			body.ReferencedByCount = new(int) // nothing here refers to connectors
			answer[i] = d.connector(body)
		}
		return writeJSON(c, http.StatusOK, answer)
	}
}

// sortByName sorts as Kibana does with localeCompare: case counts last, and
// punctuation comes before letters.
func sortByName(bodies []connectorBody) {
	collator := collate.New(language.English)
	var buffer collate.Buffer
	keys := make(map[string][]byte, len(bodies))
	for _, b := range bodies {
		if keys[b.Name] == nil {
			keys[b.Name] = collator.KeyFromString(&buffer, b.Name)
		}
	}
	slices.SortStableFunc(bodies, func(a, b connectorBody) int {
		return bytes.Compare(keys[a.Name], keys[b.Name])
	})
}

func (s *server) readUpdate(c echo.Context) (updateBody, error) {
	var body updateBody
	err := s.readBody(c, &body)
	return body, err
}

// update replaces name, config and secrets of a stored connector.
func (s *server) update(d dialect) func(echo.Context, updateBody) error {
	return func(c echo.Context, body updateBody) error {
		id := param(c, "id")
		if s.preconfigured[id] != nil {
			return updatesPreconfigured(id)
		}
		stored, err := s.save(c.Request().Context(), space(c), id, body)
		if err != nil {
			return err
		}
		return writeJSON(c, http.StatusOK, d.connector(present(stored)))
	}
}

func (s *server) save(ctx context.Context, space, id string, body updateBody) (*store.Connector, error) {
	defer s.rotation.saving.enter()()
	before, err := s.store.Get(ctx, space, id)
	if err != nil {
		return nil, err
	}
	after := *before
	after.Name = string(body.Name)
	after.Config, after.Secrets, err = s.keeper.keep(before.Space, id, before.Type, body.Config, body.Secrets)
	if err != nil {
		return nil, err
	}
	return s.store.Update(ctx, after)
}

// delete removes a stored connector.
func (s *server) delete(c echo.Context) error {
	id := param(c, "id")
	if s.preconfigured[id] != nil {
		return deletesPreconfigured(id)
	}
	if err := s.store.Delete(c.Request().Context(), space(c), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
