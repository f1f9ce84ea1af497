-- +goose Up
CREATE TABLE space (
    id                TEXT    NOT NULL PRIMARY KEY,
    name              TEXT    NOT NULL,
    description       TEXT,             -- NULL in this and the next four: never set
    color             TEXT,
    initials          TEXT,
    image_url         TEXT,
    solution          TEXT,
    disabled_features TEXT    NOT NULL, -- JSON array of strings
    created_at        INTEGER NOT NULL, -- Unix milliseconds
    updated_at        INTEGER NOT NULL
) STRICT;

-- It is always there: it can be changed and not deleted.
INSERT INTO space (id, name, description, color, disabled_features, created_at, updated_at)
VALUES ('default', 'Default', 'This is your default space!', '#00bfb3', '[]',
    unixepoch('subsec') * 1000, unixepoch('subsec') * 1000);

-- +goose Down
DROP TABLE space;
