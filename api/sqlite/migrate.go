package sqlite

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
)

// Check reads the database from end to end, so that damage is found at the start and
// not by a user. The error is [ErrDamaged] or one of reading.
func Check(ctx context.Context, db *sqlx.DB) error {
	var verdict []string
	if err := db.SelectContext(ctx, &verdict, `PRAGMA quick_check`); err != nil {
		return err
	}
	if len(verdict) != 1 || verdict[0] != "ok" {
		return fmt.Errorf("%w: %q", ErrDamaged, verdict)
	}
	return nil
}

// Migrate brings the tables up to date with the migrations that stand in the folder
// "migrations" of files. Without change it only looks: [ErrOlder] if there is something
// to do. [ErrNewer] if the file is ahead of the migrations.
func Migrate(ctx context.Context, db *sqlx.DB, files fs.FS, change bool) error {
	folder, err := fs.Sub(files, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db.DB, folder, goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > target {
		return fmt.Errorf("%w: it has schema version %d, this program knows %d", ErrNewer, current, target)
	}
	if current < target && !change {
		return ErrOlder
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}
