// Command floor is the least that does the work of a synchronous execution: an
// HTTP handler that asks a worker over NATS and a worker that writes a log line,
// or a document to the cluster that -cluster names, with the process layout of
// the all-in-one. With -accept it only keeps executions for later. Patchbay is
// measured beside it.
//
// It checks nothing, stores nothing and survives nothing: that is what the
// difference to Patchbay pays for.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/setting"
)

const (
	subject = "floor.execute"
	timeout = 5 * time.Second
)

type job struct {
	ID     string          `json:"id"`
	Type   string          `json:"type"`
	Space  string          `json:"space"`
	Config json.RawMessage `json:"config"`
	Params json.RawMessage `json:"params"`
}

type result struct {
	ConnectorID string          `json:"connector_id"`
	Status      string          `json:"status"`
	Data        json.RawMessage `json:"data,omitempty"`
}

// executor does the work of one connector type and returns its data.
type executor func(j *job) (json.RawMessage, error)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	setting.TuneGC(os.Environ()) // as Patchbay's
	cluster := flag.String("cluster", "", "URL of the cluster that documents go to; without one, messages go to the log")
	file := flag.String("accept", "", "SQLite file in which executions are kept, each with a commit of its own, instead of being run")
	flag.Parse()
	kind, execute := job{Type: ".server-log", Config: json.RawMessage("{}")}, writeLog(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	if *cluster != "" {
		kind, execute = job{Type: ".index", Config: json.RawMessage(`{"index":"bench"}`)}, index(*cluster)
	}
	start := func() error { return run(ctx, kind, execute) }
	if *file != "" {
		start = func() error { return keep(ctx, *file) }
	}
	if err := start(); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kind job, execute executor) error {
	broker, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		return err
	}
	broker.Start()
	defer broker.WaitForShutdown()
	defer broker.Shutdown()
	if !broker.ReadyForConnections(timeout) {
		return errors.New("broker did not start")
	}
	workerConn, err := nats.Connect("", nats.InProcessServer(broker))
	if err != nil {
		return err
	}
	defer workerConn.Close()
	apiConn, err := nats.Connect("", nats.InProcessServer(broker))
	if err != nil {
		return err
	}
	defer apiConn.Close()
	if err := work(workerConn, execute); err != nil {
		return err
	}
	return serve(ctx, func(c echo.Context) error { return ask(c, apiConn, kind) })
}

func keep(ctx context.Context, file string) error {
	a, err := openAcceptor(ctx, file)
	if err != nil {
		return err
	}
	return serve(ctx, a.accept)
}

// work answers jobs, each in a goroutine of its own.
func work(nc *nats.Conn, execute executor) error {
	_, err := nc.QueueSubscribe(subject, "workers", func(msg *nats.Msg) {
		go func() {
			var j job
			r := result{Status: "ok"}
			err := json.Unmarshal(msg.Data, &j)
			if err == nil {
				r.Data, err = execute(&j)
			}
			if err != nil {
				r.Status = "error"
			}
			if answer, err := json.Marshal(r); err == nil {
				_ = msg.Respond(answer) // without an answer the caller's time ends
			}
		}()
	})
	if err != nil {
		return err
	}
	return nc.Flush()
}

// writeLog writes the message of a job as one line.
func writeLog(log *slog.Logger) executor {
	return func(j *job) (json.RawMessage, error) {
		var params struct{ Message string }
		if err := json.Unmarshal(j.Params, &params); err != nil {
			return nil, err
		}
		log.Info("Server log: "+params.Message, "space", j.Space, "type", j.Type, "execution", j.ID) //nolint:sloglint // as the connector does
		return nil, nil
	}
}

// serve answers HTTP until ctx ends.
func serve(ctx context.Context, execute echo.HandlerFunc) error {
	e := echo.New()
	e.POST("/api/actions/connector/:id/_execute", execute)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h := &http.Server{Handler: e}
	served := make(chan error, 1)
	go func() { served <- h.Serve(listener) }()
	fmt.Printf("Floor is ready at http://%s\n", listener.Addr())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer stop()
	return h.Shutdown(ctx)
}

// ask has a worker do a job of a kind and answers with what came of it.
func ask(c echo.Context, nc *nats.Conn, j job) error {
	var body struct {
		Params json.RawMessage `json:"params"`
	}
	if err := json.NewDecoder(c.Request().Body).Decode(&body); err != nil {
		return echo.NewHTTPError(http.StatusBadRequest, err.Error())
	}
	j.ID, j.Space, j.Params = rand.Text(), "default", body.Params
	data, err := json.Marshal(j)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(c.Request().Context(), timeout)
	defer stop()
	msg, err := nc.RequestWithContext(ctx, subject, data)
	if err != nil {
		return echo.NewHTTPError(http.StatusServiceUnavailable, err.Error())
	}
	var r result
	if err := json.Unmarshal(msg.Data, &r); err != nil {
		return err
	}
	r.ConnectorID = c.Param("id")
	return c.JSON(http.StatusOK, r)
}
