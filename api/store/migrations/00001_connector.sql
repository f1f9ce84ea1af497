-- +goose Up
CREATE TABLE connector (
    id         TEXT    NOT NULL PRIMARY KEY, -- unique across all spaces
    space      TEXT    NOT NULL,
    type       TEXT    NOT NULL,             -- with its dot
    name       TEXT    NOT NULL,
    config     TEXT    NOT NULL,             -- JSON, byte for byte as it is answered
    secrets    BLOB,                         -- sealed; NULL for a type without any
    version    INTEGER NOT NULL,             -- 1, and 1 more with every update
    created_at INTEGER NOT NULL,             -- Unix milliseconds
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX connector_space ON connector (space);

-- +goose Down
DROP TABLE connector;
