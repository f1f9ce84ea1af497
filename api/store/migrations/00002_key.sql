-- +goose Up
CREATE TABLE api_key (
    id           TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    hash         BLOB    NOT NULL, -- SHA-256 of the secret, which is nowhere
    privileges   TEXT    NOT NULL, -- JSON
    created_at   INTEGER NOT NULL, -- Unix milliseconds
    expires_at   INTEGER,          -- Unix milliseconds; NULL for never
    last_used_at INTEGER           -- Unix milliseconds; NULL for never
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE api_key;
