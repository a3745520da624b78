CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    identity TEXT NOT NULL UNIQUE,
    received TEXT NOT NULL,
    last_seen TEXT NOT NULL,
    seen INTEGER NOT NULL DEFAULT 1,
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    status TEXT NOT NULL,
    summary TEXT NOT NULL,
    happened TEXT NOT NULL,
    names TEXT NOT NULL,
    labels TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_age ON events (last_seen);

CREATE TABLE decisions (
    event INTEGER NOT NULL REFERENCES events ON DELETE CASCADE,
    model TEXT NOT NULL,
    action TEXT NOT NULL,
    code TEXT NOT NULL,
    why TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (event, model)
) STRICT, WITHOUT ROWID;
CREATE INDEX decisions_by_model ON decisions (model, event);
CREATE INDEX decisions_by_key ON decisions (key);
-- What a subject leads to is decided once for a model.
CREATE UNIQUE INDEX decided_once ON decisions (key) WHERE action <> 'ignore';

CREATE TABLE intents (
    key TEXT PRIMARY KEY,
    event INTEGER NOT NULL REFERENCES events ON DELETE CASCADE,
    model TEXT NOT NULL,
    reason TEXT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    arguments TEXT NOT NULL,
    state TEXT NOT NULL,
    code TEXT NOT NULL DEFAULT '',
    why TEXT NOT NULL DEFAULT '',
    created TEXT NOT NULL,
    started TEXT,
    ended TEXT,
    run_id TEXT NOT NULL DEFAULT '',
    url TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    decision TEXT NOT NULL DEFAULT '',
    decision_reason TEXT NOT NULL DEFAULT '',
    version TEXT NOT NULL DEFAULT '',
    image TEXT NOT NULL DEFAULT '',
    commits TEXT NOT NULL DEFAULT '[]',
    rows INTEGER,
    owner TEXT NOT NULL DEFAULT '',
    leased_until TEXT NOT NULL DEFAULT '',
    next_look TEXT NOT NULL DEFAULT '',
    attempted TEXT NOT NULL DEFAULT '',
    tries INTEGER NOT NULL DEFAULT 0,
    misses INTEGER NOT NULL DEFAULT 0,
    stop TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX intents_by_event ON intents (event);
CREATE INDEX intents_by_model ON intents (model, event);
CREATE INDEX intents_by_state ON intents (state, model, event);
CREATE INDEX intents_by_run ON intents (run_id);

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    target TEXT NOT NULL,
    created TEXT NOT NULL,
    next_try TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    UNIQUE (key, target)
) STRICT;
CREATE INDEX outbox_by_time ON outbox (next_try);

-- One row, written to learn whether the disk still takes what is written.
CREATE TABLE checked (id INTEGER PRIMARY KEY CHECK (id = 1), at TEXT NOT NULL) STRICT;
