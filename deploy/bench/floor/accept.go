package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"
	_ "github.com/mattn/go-sqlite3" // asked by name
)

// acceptor keeps what is to be run later in a SQLite file: one row and one commit,
// which is on disk, for each request.
type acceptor struct{ insert *sql.Stmt }

func openAcceptor(ctx context.Context, file string) (*acceptor, error) {
	dsn := url.URL{Scheme: "file", Opaque: file, RawQuery: "_journal_mode=WAL&_synchronous=FULL&_txlock=immediate"}
	db, err := sql.Open("sqlite3", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // more would only find the file locked
	if _, err := db.ExecContext(ctx, `CREATE TABLE execution (id TEXT PRIMARY KEY, connector TEXT NOT NULL, params TEXT NOT NULL, accepted_at INTEGER NOT NULL) STRICT`); err != nil {
		return nil, err
	}
	insert, err := db.PrepareContext(ctx, `INSERT INTO execution (id, connector, params, accepted_at) VALUES (?, ?, ?, ?)`)
	return &acceptor{insert}, err
}

func (a *acceptor) accept(c echo.Context) error {
	var body struct {
		Params json.RawMessage `json:"params"`
	}
	if err := json.NewDecoder(c.Request().Body).Decode(&body); err != nil {
		return echo.NewHTTPError(http.StatusBadRequest, err.Error())
	}
	id := rand.Text()
	if _, err := a.insert.ExecContext(context.WithoutCancel(c.Request().Context()), id, c.Param("id"), string(body.Params), time.Now().UnixMilli()); err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, map[string]string{"execution_id": id, "connector_id": c.Param("id"), "status": "queued"})
}
