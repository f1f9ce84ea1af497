package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
)

// routeMetrics counts requests by their routes.
type routeMetrics struct {
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	known    map[routeKey]*routeCounter
	other    *routeCounter // of what has no route
}

type routeKey struct{ method, path string }

// routeCounter looks up, when the first request comes, what it needs for the usual
// answer: most routes are never asked for.
type routeCounter struct {
	routeKey
	once sync.Once
	ok   prometheus.Counter
	took prometheus.Observer
}

func newRouteMetrics() routeMetrics {
	return routeMetrics{
		requests: counters("patchbay_http_requests_total", "Requests to the API, by method, route and status; the code is none if the client left before an answer.",
			"method", "route", "code"),
		took:  histograms("patchbay_http_request_duration_seconds", "Time of requests to the API, by route.", "route"),
		other: &routeCounter{routeKey: routeKey{"other", "other"}},
	}
}

// know sets the routes that are labels: a method or a path that is none of them is
// what a client thought of.
func (m *metrics) know(routes []*echo.Route) {
	if m == nil {
		return
	}
	m.routes.known = make(map[routeKey]*routeCounter, len(routes))
	for _, r := range routes {
		key := routeKey{r.Method, r.Path}
		m.routes.known[key] = &routeCounter{routeKey: key}
	}
}

// answered counts a request whose handler returned err.
func (m *metrics) answered(c echo.Context, began time.Time, err error) {
	all := &m.routes
	r := all.known[routeKey{c.Request().Method, c.Path()}]
	if r == nil {
		r = all.other
	}
	r.once.Do(func() {
		r.ok = all.requests.WithLabelValues(r.method, r.path, "200")
		r.took = all.took.WithLabelValues(r.path)
	})
	r.took.Observe(time.Since(began).Seconds())
	switch code := codeOf(c, err); code {
	case http.StatusOK:
		r.ok.Inc()
	case 0:
		all.requests.WithLabelValues(r.method, r.path, "none").Inc()
	default:
		all.requests.WithLabelValues(r.method, r.path, strconv.Itoa(code)).Inc()
	}
}

// codeOf returns the status of an answer that was or will be given, 0 for none.
func codeOf(c echo.Context, err error) int {
	switch {
	case c.Response().Committed:
		return c.Response().Status
	case err == nil || isGone(c, err):
		return 0
	default:
		return problemOf(err, c).status
	}
}

// isGone reports whether the error of a request is that its client is gone, or has
// closed its side.
func isGone(c echo.Context, err error) bool {
	return errors.Is(err, context.Canceled) && c.Request().Context().Err() != nil
}
