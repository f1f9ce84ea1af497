package api

import (
	_ "embed"
	"net/http"

	"github.com/labstack/echo/v4"
)

const serverName = "patchbay"

// kibanaVersion is the version whose API this is; clients ask for it before
// they use what older versions lack.
const kibanaVersion = "8.19.7"

// status answers like Kibana's GET /api/status, as far as clients read it. Without
// credentials, where they are asked for, it tells the level alone.
func (s *server) status(c echo.Context) error {
	open, err := s.guard.open(c.Request().Context())
	if err != nil {
		return err
	}
	anonymous := !open && callerOf(c) == nil
	type level struct {
		Level   string `json:"level"`
		Summary string `json:"summary"`
	}
	overall := level{"available", "All services and plugins are available"}
	if problems := s.problems(c); len(problems) > 0 {
		overall = level{"degraded", "Not ready, see /readyz"}
	}
	if anonymous {
		return writeJSON(c, http.StatusOK, map[string]any{
			"status": map[string]any{"overall": map[string]any{"level": overall.Level}},
		})
	}
	return writeJSON(c, http.StatusOK, map[string]any{
		"name": serverName,
		"version": map[string]any{
			"number":         kibanaVersion,
			"build_flavor":   "traditional",
			"build_snapshot": false,
		},
		"status": map[string]any{"overall": overall},
	})
}

// health says that the process lives.
func (s *server) health(c echo.Context) error {
	return writeJSON(c, http.StatusOK, map[string]string{"status": "ok"})
}

// ready says whether requests can be served, and if not why: 503 then.
func (s *server) ready(c echo.Context) error {
	if problems := s.problems(c); len(problems) > 0 {
		return writeJSON(c, http.StatusServiceUnavailable, map[string]any{"status": "unavailable", "problems": problems})
	}
	return writeJSON(c, http.StatusOK, map[string]string{"status": "ok"})
}

// problems tells what keeps the api from working, by part.
func (s *server) problems(c echo.Context) map[string]string {
	problems := map[string]string{}
	if err := s.store.Ping(c.Request().Context()); err != nil {
		s.log.Error("store cannot be read", "error", err)
		problems["store"] = "the database cannot be read; the log has the details"
	}
	if !s.nc.IsConnected() {
		problems["broker"] = "not connected to NATS"
	} else if s.refused.Load() {
		problems["broker"] = "it refuses what the api needs; the log has the details"
	}
	return problems
}

//go:embed openapi.yaml
var openapiYAML []byte

// openapi answers with the description of this API.
func (s *server) openapi(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/yaml", openapiYAML)
}
