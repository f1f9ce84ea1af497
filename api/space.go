package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"patchbay.dev/api/access"
	"patchbay.dev/api/store"
	"patchbay.dev/shared/schema"
)

// defaultSpace is always there; Kibana calls it reserved.
const defaultSpace = "default"

func (s *server) readSpace(c echo.Context) (store.Space, error) {
	var body spaceBody
	err := s.readBody(c, &body)
	return body.space(string(body.ID)), err
}

// createSpace stores a new space.
func (s *server) createSpace(c echo.Context, space store.Space) error {
	about(c, object{toCreateSpace.event, space.ID, space.ID})
	err := s.store.CreateSpace(c.Request().Context(), space)
	if errors.Is(err, store.ErrSpaceExists) {
		return spaceExists(space.ID)
	}
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, presentSpace(&space))
}

// getSpace answers with one space.
func (s *server) getSpace(c echo.Context, id string) error {
	space, err := s.store.Space(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, presentSpace(space))
}

// spacesQuery is what a list may be asked. Kibana looks at it when it knows the
// caller's privileges for saved objects, which are none of ours: it changes nothing.
type spacesQuery struct {
	Purpose *purpose `json:"purpose" maybe:"yes"`
	Include *bool    `json:"include_authorized_purposes" maybe:"yes"`
}

type purpose string

// OneOf implements [schema.Enum].
func (purpose) OneOf() []string {
	return []string{"any", "copySavedObjectsIntoSpace", "shareSavedObjectsIntoSpace"}
}

func readSpacesQuery(c echo.Context) (struct{}, error) {
	var query spacesQuery
	if err := readQuery(c, &query); err != nil {
		return struct{}{}, err
	}
	if query.Purpose != nil && query.Include != nil && *query.Include {
		return struct{}{}, badRequest("[request query]: include_authorized_purposes can only be false when purpose is specified")
	}
	return struct{}{}, nil
}

// listSpaces answers with the spaces that the caller may use, by name.
func (s *server) listSpaces(c echo.Context, _ struct{}) error {
	spaces, err := s.store.Spaces(c.Request().Context())
	if err != nil {
		return err
	}
	answer := []spaceAnswer{}
	for _, each := range spaces {
		if callerOf(c).may(access.Read, each.ID) {
			answer = append(answer, presentSpace(each))
		}
	}
	if len(answer) == 0 { // Kibana's way to say so
		return &problem{status: http.StatusForbidden, message: http.StatusText(http.StatusForbidden)}
	}
	return writeJSON(c, http.StatusOK, answer)
}

// readQuery decodes the query of the request into the struct that into points to,
// as readBody does with bodies. What may be named several times is in lists.
func readQuery(c echo.Context, into any, lists ...string) error {
	values := map[string]any{}
	for key, list := range c.QueryParams() {
		values[key] = list[0]
		// A text that is a list itself is read as one.
		if len(list) > 1 || slices.Contains(lists, key) && !strings.HasPrefix(list[0], "[") {
			values[key] = list
		}
	}
	data, err := json.Marshal(values)
	if err != nil {
		return fmt.Errorf("encode query: %w", err)
	}
	err = schema.Decode(data, into)
	if refusal, ok := errors.AsType[*schema.Error](err); ok {
		return badRequest(refusal.In("request query"))
	}
	return err
}

func (s *server) readSpaceUpdate(c echo.Context) (store.Space, error) {
	id, err := pathSpace(c)
	if err != nil {
		return store.Space{}, err
	}
	var body spaceBody
	err = s.readBody(c, &body)
	return body.space(id), err
}

// updateSpace changes a stored space. As in Kibana, what the body leaves out stays
// as it was, save the disabled features.
func (s *server) updateSpace(c echo.Context, after store.Space) error {
	space, err := s.store.UpdateSpace(c.Request().Context(), after)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, presentSpace(space))
}

// deleteSpace removes a space and the connectors in it.
func (s *server) deleteSpace(c echo.Context, id string) error {
	if id == defaultSpace {
		return deletesReserved(id)
	}
	connectors, err := s.store.DeleteSpace(c.Request().Context(), id)
	if err != nil {
		return err
	}
	objects := []object{{toDeleteSpace.event, id, id}}
	for _, connector := range connectors {
		objects = append(objects, object{toDelete.event, id, connector})
	}
	about(c, objects...)
	return c.NoContent(http.StatusNoContent)
}

// pathSpace returns the id of the space whose resource the path names.
func pathSpace(c echo.Context) (string, error) {
	id := param(c, "id")
	if !access.IsSpace(id) {
		return "", badRequest("[request params.id]: " + access.SpaceRule)
	}
	return id, nil
}
