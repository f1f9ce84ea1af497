package api

import (
	"maps"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"patchbay.dev/shared/connector"
)

// feature is the feature whose types are asked for, nil for those of all.
type feature *string

func readFeature(c echo.Context) (feature, error) {
	query := c.QueryParams()
	for _, key := range slices.Sorted(maps.Keys(query)) {
		if key != "feature_id" {
			return nil, badRequest("[request query." + key + "]: definition for this key is missing")
		}
	}
	switch asked := query["feature_id"]; len(asked) {
	case 0:
		return nil, nil
	case 1:
		return &asked[0], nil
	default:
		return nil, badRequest("[request query.feature_id]: expected value of type [string] but got [Array]")
	}
}

// types answers with the connector types, those of one feature if asked.
func (s *server) types(c echo.Context, of feature) error {
	answer := []any{}
	for _, definition := range connector.All {
		about := definition.Describe()
		if of == nil || slices.Contains(about.Features, *of) {
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
