-- +goose Up

-- Times are Unix microseconds and 0 for none, texts '' for none: there is no NULL
-- where the two would mean the same.
CREATE TABLE execution (
    seq            INTEGER PRIMARY KEY,
    id             TEXT    NOT NULL,
    space          TEXT    NOT NULL,
    connector_id   TEXT    NOT NULL,
    connector_name TEXT    NOT NULL,
    type           TEXT    NOT NULL,            -- with its dot
    durable        INTEGER NOT NULL,            -- it was queued, not answered at once
    state          TEXT    NOT NULL,            -- queued, running, done, dead
    class          TEXT    NOT NULL DEFAULT '', -- why it did not succeed
    created_at     INTEGER NOT NULL,
    queued_at      INTEGER NOT NULL DEFAULT 0,  -- created or last replayed
    due_at         INTEGER NOT NULL DEFAULT 0,  -- of the next attempt, while it is queued
    bytes          INTEGER NOT NULL,            -- of the params
    trace_id       TEXT    NOT NULL,
    key            TEXT    NOT NULL DEFAULT '', -- idempotency key
    keyed          INTEGER NOT NULL DEFAULT 0,  -- the key is still this execution's
    fingerprint    BLOB,                        -- of the request that came with the key
    attempts       INTEGER NOT NULL,            -- how many it was given, and each replay gives it
    max_attempts   INTEGER NOT NULL,            -- the number of the last one
    safe           INTEGER NOT NULL DEFAULT 0,  -- may be run again when it may have been carried out
    settle_us      INTEGER NOT NULL DEFAULT 0,  -- microseconds until then, at the least
    lost           INTEGER NOT NULL DEFAULT 0,  -- workers that died on it
    replayable     INTEGER NOT NULL DEFAULT 0,  -- a dead letter with params

    -- The last attempt that began; started_at is 0 for none. Almost every execution
    -- has one only, and so is one row.
    attempt         INTEGER NOT NULL, -- its number
    started_at      INTEGER NOT NULL,
    ended_at        INTEGER NOT NULL,
    queue_us        INTEGER NOT NULL, -- microseconds from when it was due
    dispatch_us     INTEGER NOT NULL,
    run_us          INTEGER NOT NULL,
    outcome         TEXT    NOT NULL,
    message         TEXT    NOT NULL,
    service_message TEXT    NOT NULL,
    retry           TEXT    NOT NULL, -- JSON
    source          TEXT    NOT NULL,
    worker          TEXT    NOT NULL
) STRICT;

CREATE UNIQUE INDEX execution_id ON execution (space, id);
CREATE UNIQUE INDEX execution_key ON execution (space, connector_id, key) WHERE keyed = 1;
CREATE INDEX execution_due ON execution (space, connector_id, type, due_at) WHERE state = 'queued';
CREATE INDEX execution_running ON execution (seq) WHERE state = 'running';
CREATE INDEX execution_dead ON execution (space, created_at) WHERE state = 'dead';
CREATE INDEX execution_space ON execution (space, created_at);

-- The next three belong to an execution and are deleted with it, without a foreign key:
-- for the many that were answered at once, and have none of them, looking for them
-- would cost more than the rest.

-- The attempts before the last one.
CREATE TABLE attempt (
    seq             INTEGER NOT NULL,
    attempt         INTEGER NOT NULL,
    started_at      INTEGER NOT NULL,
    ended_at        INTEGER NOT NULL,
    queue_us        INTEGER NOT NULL,
    dispatch_us     INTEGER NOT NULL,
    run_us          INTEGER NOT NULL,
    outcome         TEXT    NOT NULL,
    message         TEXT    NOT NULL,
    service_message TEXT    NOT NULL,
    retry           TEXT    NOT NULL,
    source          TEXT    NOT NULL,
    worker          TEXT    NOT NULL,
    PRIMARY KEY (seq, attempt)
) STRICT, WITHOUT ROWID;

-- What it takes to run an execution; gone when it ended, but for a dead letter.
CREATE TABLE payload (
    seq         INTEGER PRIMARY KEY,
    params      TEXT, -- JSON; NULL if they are sealed
    sealed      BLOB, -- params of a dead letter
    access      TEXT, -- JSON; NULL for no limit
    traceparent TEXT NOT NULL,
    tracestate  TEXT NOT NULL
) STRICT;

CREATE INDEX payload_sealed ON payload (seq) WHERE sealed IS NOT NULL;

-- What the destination answered.
CREATE TABLE answer (
    seq  INTEGER PRIMARY KEY,
    data TEXT NOT NULL -- JSON
) STRICT;

-- +goose Down
DROP TABLE answer;
DROP TABLE payload;
DROP TABLE attempt;
DROP TABLE execution;
