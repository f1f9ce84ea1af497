package api

import (
	"database/sql"
	"net/http"
	"path/filepath"
	"strings"

	"patchbay.dev/api/ledger"
)

// fillLedger has every write of a new execution fail as on a full disk: a table whose
// numbers are used up is full, too.
func (b *bundle) fillLedger() {
	b.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(b.dir, ledger.FileName)+"?_busy_timeout=5000")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{
		`CREATE TABLE used_up (n INTEGER PRIMARY KEY AUTOINCREMENT)`,
		`INSERT INTO used_up VALUES (9223372036854775807)`,
		`CREATE TRIGGER no_room BEFORE INSERT ON execution BEGIN INSERT INTO used_up VALUES (NULL); END`,
	} {
		if _, err := db.ExecContext(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
}

// sendLines sends lines to _bulk_execute.
func (b *bundle) sendLines(lines string, edits ...func(*http.Request)) answer {
	b.Helper()
	return b.sendBad("POST", "/api/actions/_bulk_execute", lines, append([]func(*http.Request){ndjson}, edits...)...)
}

func ndjson(r *http.Request) { r.Header.Set("Content-Type", "application/x-ndjson") }

// inLines returns the lines of an answer as one JSON list.
func inLines(lines string) string {
	return "[" + strings.Join(strings.Split(strings.TrimSuffix(lines, "\n"), "\n"), ",") + "]"
}
