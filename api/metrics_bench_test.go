package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"patchbay.dev/shared/wire"
)

// What counting one execution costs, of some 100 µs that it takes, where all cores
// count at once.
//
//	go test -run '^$' -bench Counting -cpu 1,2,4 ./api
func BenchmarkCounting(b *testing.B) {
	s := &server{config: Config{Metrics: prometheus.NewRegistry()}}
	if err := s.openMetrics(); err != nil {
		b.Fatal(err)
	}
	b.Run("execution", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				s.metrics.executed(".server-log", wire.OK, nil, 3*time.Millisecond)
			}
		})
	})
	e := echo.New()
	e.POST("/api/actions/connector/:id/_execute", func(echo.Context) error { return nil })
	s.metrics.know(e.Routes())
	b.Run("request", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			c := e.NewContext(httptest.NewRequest("POST", "/", nil), httptest.NewRecorder())
			c.SetPath("/api/actions/connector/:id/_execute")
			if err := c.NoContent(http.StatusOK); err != nil {
				b.Error(err)
			}
			began := time.Now()
			for p.Next() {
				s.metrics.answered(c, began, nil)
			}
		})
	})
}
