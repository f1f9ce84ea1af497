package api

import (
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"patchbay.dev/api/access"
	"patchbay.dev/shared/wire"
)

// around does what every request needs before its route, in one piece: Echo
// chains its middleware anew for each request.
func (s *server) around(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		if s.metrics != nil {
			defer func(began time.Time) { s.metrics.answered(c, began, err) }(time.Now())
		}
		defer func() {
			if v := recover(); v != nil {
				if v == http.ErrAbortHandler { //nolint:errorlint // net/http panics with this very one
					panic(v)
				}
				err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
			}
		}()
		if err := s.limitRead(c); err != nil {
			return err
		}
		if isBulk(c) {
			// Before any answer: a server that does not answer while it reads would wait
			// for the end of a stream before it refuses it.
			if err := http.NewResponseController(c.Response()).EnableFullDuplex(); err != nil {
				return fmt.Errorf("answer while reading: %w", err)
			}
		}
		identify(c)
		if err := markExecution(c); err != nil {
			return err
		}
		if err := s.refuseForeignHost(c); err != nil {
			return err
		}
		if err := refuseCrossOrigin(c); err != nil {
			return err
		}
		return next(c)
	}
}

func isBulk(c echo.Context) bool { return strings.HasSuffix(c.Path(), "/_bulk_execute") }

// limitRead gives the client a time for its body. It holds for every route, also
// one that answers without reading: the server reads what is left.
func (s *server) limitRead(c echo.Context) error {
	// Not the server's ReadTimeout: that would go on counting while an execution
	// runs, and then end it. Who has read the body takes the limit away.
	control := http.NewResponseController(c.Response())
	if err := control.SetReadDeadline(time.Now().Add(s.config.ReadTimeout)); err != nil {
		return fmt.Errorf("set read deadline: %w", err)
	}
	return nil
}

// The values of headers that are always the same.
var (
	kbnName    = []string{serverName}
	apiVersion = []string{"2023-10-31"}
)

// identify adds the headers with which Kibana names itself and the version of
// its public routes.
func identify(c echo.Context) {
	header := c.Response().Header()
	header["Kbn-Name"] = kbnName
	header["Elastic-Api-Version"] = apiVersion
}

// markExecution gives every answer to an execute, refusals included, an id (the
// caller's own, if it sent one) and the outcome that holds until a worker says
// otherwise.
func markExecution(c echo.Context) error {
	if !strings.HasSuffix(c.Path(), "/_execute") {
		return nil
	}
	header := c.Response().Header()
	header[headerOutcome] = outcomes[wire.Error]
	if given := c.Request().Header.Get(headerExecutionID); connectorID.MatchString(given) {
		header.Set(headerExecutionID, given)
		return nil
	}
	id, err := newExecutionID()
	if err != nil {
		return err
	}
	header.Set(headerExecutionID, id)
	return nil
}

// warnLegacy adds the header of Kibana's deprecated routes.
func warnLegacy(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set("Warning", `299 Patchbay "This route is deprecated; use /api/actions/connector."`)
		return next(c)
	}
}

// refuseForeignHost protects an open listener on loopback from pages that give
// their own name this machine's address: a browser then takes us for their server.
func (s *server) refuseForeignHost(c echo.Context) error {
	if !s.loopback || isLoopback(c.Request().Host) {
		return nil
	}
	// Who has to show a key cannot be tricked: a page does not have it.
	open, err := s.guard.open(c.Request().Context())
	if err != nil || !open {
		return err
	}
	return &problem{status: http.StatusForbidden,
		message: "Requests to a loopback address must name it in their Host header, as in http://localhost:5601."}
}

func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	if strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

var crossOrigin = http.NewCrossOriginProtection()

// refuseCrossOrigin is the fence against browsers: kbn-xsrf is accepted and not
// demanded, so a page of another site must be told by its headers.
func refuseCrossOrigin(c echo.Context) error {
	if err := crossOrigin.Check(c.Request()); err != nil {
		return &problem{status: http.StatusForbidden, message: "Requests from other web sites are refused: " + err.Error()}
	}
	return nil
}

// checkSpace refuses a space id that cannot exist.
func checkSpace(c echo.Context) error {
	if slices.Contains(c.ParamNames(), "space_id") && !access.IsSpace(param(c, "space_id")) {
		return badRequest("[request params.space_id]: " + access.SpaceRule)
	}
	return nil
}

// space returns the id of the space that the path names, "default" without one.
func space(c echo.Context) string {
	if id := param(c, "space_id"); id != "" {
		return id
	}
	return "default"
}
