package api

import (
	"maps"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"patchbay.dev/shared/connector"
)

// types answers with the connector types, those of one feature if asked.
func (s *server) types(c echo.Context) error {
	query := c.QueryParams()
	for _, key := range slices.Sorted(maps.Keys(query)) {
		if key != "feature_id" {
			return badRequest("[request query." + key + "]: definition for this key is missing")
		}
	}
	if len(query["feature_id"]) > 1 {
		return badRequest("[request query.feature_id]: expected value of type [string] but got [Array]")
	}
	answer := []any{}
	for _, definition := range connector.All {
		about := definition.Describe()
		if !query.Has("feature_id") || slices.Contains(about.Features, query.Get("feature_id")) {
			answer = append(answer, modern.connectorType(about))
		}
	}
	return writeJSON(c, http.StatusOK, answer)
}

// legacyTypes answers with the connector types; its route has no query.
func (s *server) legacyTypes(c echo.Context) error {
	answer := []any{}
	for _, definition := range connector.All {
		answer = append(answer, legacy.connectorType(definition.Describe()))
	}
	return writeJSON(c, http.StatusOK, answer)
}
